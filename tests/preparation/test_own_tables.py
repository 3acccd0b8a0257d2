"""What one's own tables may be: many files of any kind, with conditions, times of any unit, and facts beside them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recretrain.data.fields import read_fields
from recretrain.data.lineage import first_other, lineage
from recretrain.errors import DataError
from recretrain.preparation.cut import ByCalendar, ByCount
from recretrain.preparation.prepare import digest_now, load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
DAY = 1_700_000_000  # 14 November 2023
CSV = f"user,item,timestamp\na,x,{DAY}\nb,y,{DAY + 1}\n"


def prepared(root: Path, path: str | Path, **options: Any) -> Path:
    source = load_source(CONF / "data" / "table.yaml", path=str(path), **options)
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=root, cache=root / "cache")


def keys(folder: Path, kind: str = "items") -> list[Any]:
    return list(pq.read_table(folder / f"{kind}.parquet")["key"].to_pylist())


def column(folder: Path, name: str) -> list[Any]:
    return list(pq.read_table(folder / "period_000.parquet")[name].to_pylist())


def card(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "stream.json").read_text())
    return found


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".zst":
        with pa.output_stream(str(file), compression="zstd") as packed:
            packed.write(text.encode())
    else:
        file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())
    return file


# files ----------------------------------------------------------------------------------------------------------------

JSON = f'{{"user": "a", "item": "x", "timestamp": {DAY}}}\n{{"item": "y", "timestamp": "{DAY + 1}", "user": "b"}}\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv.zst", CSV),
        ("rows.tsv.gz", CSV.replace(",", "\t")),
        ("rows.jsonl", JSON),
        ("rows.ndjson", "\ufeff" + JSON),
        ("rows.jsonl.gz", JSON),
        ("rows.json", JSON),
        ("rows.json.gz", JSON),
        ("rows.ndjson.zst", JSON),
    ],
)
def test_a_table_may_be_packed_text_or_json_lines(tmp_path: Path, name: str, text: str) -> None:
    folder = prepared(tmp_path, write(tmp_path / name, text))

    assert (keys(folder, "users"), keys(folder)) == (["a", "b"], ["x", "y"])
    assert column(folder, "time") == [DAY, DAY + 1]


@pytest.mark.parametrize("path", ["shop", "shop/*.csv", "shop/**", "**/*.csv", "shop/[ab].csv"])
def test_many_files_are_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "shop" / "a.csv", CSV)
    write(tmp_path / "shop" / "b.csv", f"timestamp;item;price;user\n{DAY + 2};z;5;c\n")
    write(tmp_path / "shop" / "notes.txt", "no table")

    assert keys(prepared(tmp_path, path)) == ["x", "y", "z"]


def test_a_column_that_a_file_lacks_is_null_there(tmp_path: Path) -> None:
    write(tmp_path / "shop" / "a.csv", CSV)
    write(tmp_path / "shop" / "b.jsonl", f'{{"user": "c", "item": "z", "timestamp": {DAY}, "stars": 4}}\n')
    stars = {"rating": "stars"}

    with pytest.raises(DataError, match=r"a\.csv, line 2: rating is missing .*\(so in 2 rows\)"):
        prepared(tmp_path, "shop", columns=stars)

    assert keys(prepared(tmp_path, "shop", columns=stars, where="stars is not null")) == ["z"]


def test_folders_of_partitions_are_columns(tmp_path: Path) -> None:
    for month, item in (("2024-01", "x"), ("2024-02", "y")):
        write(tmp_path / "shop" / f"month={month}" / "rows.csv", f"user,item,timestamp\na,{item},{DAY}\n")
        table = pa.table({"user": ["a"], "item": [item], "timestamp": [DAY]})
        file = tmp_path / "lake" / f"month={month}" / "rows.parquet"
        file.parent.mkdir(parents=True)
        pq.write_table(table, file)

    for place in ("shop", "lake", "shop/*/*.csv"):
        assert keys(prepared(tmp_path, place)) == ["x", "y"]
        assert keys(prepared(tmp_path, place, where="month = '2024-02'")) == ["y"]
        assert keys(prepared(tmp_path, place, columns={"session": "month"}), "items") == ["x", "y"]


def test_the_names_of_partitions_are_part_of_the_data(tmp_path: Path) -> None:
    for place, month in (("shop", "1"), ("other", "2")):
        write(tmp_path / place / f"month={month}" / "rows.csv", CSV)

    assert prepared(tmp_path, "shop").name != prepared(tmp_path, "other").name
    assert prepared(tmp_path, "shop").name == prepared(tmp_path, tmp_path / "shop").name


def test_the_working_folder_comes_before_the_data_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, here = tmp_path / "root", tmp_path / "here"
    write(root / "rows.csv", CSV)
    write(root / "only.csv", CSV)
    write(here / "rows.csv", CSV.replace("x", "own"))
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))

    assert keys(prepared(root, "rows.csv")) == ["own", "y"]
    assert keys(prepared(root, "only.csv")) == ["x", "y"]
    assert keys(prepared(root, "~/rows.csv")) == ["own", "y"]
    with pytest.raises(DataError, match=r"table: a table.* not found at .*root/none\.csv"):
        prepared(root, "none.csv")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (",user,item,timestamp,,price,price", None),
        ("n,user,item,timestamp,Item,ITEM,q", None),
        ("n,user,item,timestamp,q,item,r", r"rows\.csv, line 1: 2 columns are called 'item' \(data\.columns\.item\)"),
        ("n,user,items,timestamp,q,r,s", r"no column 'item' \(data\.columns\.item\); it has n, user, items, timesta"),
    ],
)
def test_only_the_columns_that_are_wanted_must_have_names(tmp_path: Path, header: str, message: str | None) -> None:
    file = write(tmp_path / "rows.csv", f"{header}\n0,a,x,{DAY},,5,6\n")

    if message:
        with pytest.raises(DataError, match=message):
            prepared(tmp_path, file)
    else:
        assert keys(prepared(tmp_path, file)) == ["x"]


def test_a_line_of_blanks_hides_no_faulty_one(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", f'{CSV}  \n"c\nd",y,{DAY}\n\t\ne,y\n')

    with pytest.raises(DataError, match=r"rows\.csv, line 8: 2 fields where the first line names 3 \(e,y\)"):
        prepared(tmp_path, file)


def test_a_line_that_duckdb_alone_refuses_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", f'{CSV}c,"y"z,{DAY}\n')

    with pytest.raises(DataError, match=r"rows\.csv, line 4 \(c,\"y\"z,.*\): "):
        prepared(tmp_path, file)


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_line_too_long_is_named_and_not_left_out(tmp_path: Path, name: str) -> None:
    text = f"user,item,timestamp\na,x,{DAY}\n{'b' * 40_000_000}\nb,y,{DAY + 1}\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(text, 1) if name.endswith("gz") else text)

    with pytest.raises(DataError, match=rf"{name}, line 3: the line is longer than 16 MB"):
        prepared(tmp_path, name)


def test_a_row_is_placed_by_its_line_whatever_stands_before(tmp_path: Path) -> None:
    write(tmp_path / "shop" / "a.csv", CSV)
    write(tmp_path / "shop" / "b.csv", f'user,item,timestamp\n\n"c\nd",y,{DAY}\n   \ne,,{DAY}\n')

    with pytest.raises(DataError, match=r"b\.csv, line 6: item is missing"):
        prepared(tmp_path, "shop")


def test_a_faulty_line_of_json_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", JSON + "{oh\n")

    with pytest.raises(DataError, match=r"rows\.jsonl, line 3: not JSON"):
        prepared(tmp_path, file)


def test_a_value_that_json_lacks_is_named(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.jsonl", JSON + f'{{"user": "a", "timestamp": {DAY}}}\n')

    with pytest.raises(DataError, match=r"rows\.jsonl, line 3 .*: item is missing"):
        prepared(tmp_path, file)


# rows -----------------------------------------------------------------------------------------------------------------

STARS = f"user,item,timestamp,stars,shop\na,x,{DAY},3.5,A\nb,y,{DAY},4.5,B\nc,z,{DAY},10,A\n"


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("stars >= 4", ["y", "z"]),  # a number, though the file is text
        ("stars >= 4 and shop = 'A'", ["z"]),
        ("user <> 'a'", ["y", "z"]),
        ("timestamp < 0 or item = 'x'", ["x"]),
    ],
)
def test_a_condition_chooses_rows(tmp_path: Path, where: str, left: list[str]) -> None:
    folder = prepared(tmp_path, write(tmp_path / "rows.csv", STARS), where=where)

    assert keys(folder) == left
    assert card(folder)["options"]["where"] == where
    assert [count["rows"] for count in card(folder)["counts"] if count["step"] == "where"] == [len(left)]


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("price > 3", "Binder Error: .*price"),
        ("stars >", "Parser Error"),
        ("count(*) > 3", "Binder Error"),
        ("user > 3", "Conversion Error|Binder Error"),
        ("shop::INTEGER > 3", "Conversion Error"),
        ("shop + 1 > 3", "Conversion Error|Binder Error"),
    ],
)
def test_a_condition_that_cannot_be_is_named(tmp_path: Path, where: str, problem: str) -> None:
    with pytest.raises(DataError, match=rf"^data\.where=.*: ({problem}).*; give a condition of SQL") as error:
        prepared(tmp_path, write(tmp_path / "rows.csv", STARS), where=where)

    assert "\n" not in str(error.value)


def test_a_condition_may_drop_rows_that_would_be_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", f"{CSV},z,{DAY}\n")

    assert keys(prepared(tmp_path, file, where="user is not null")) == ["x", "y"]


def test_rows_with_missing_values_are_dropped_and_counted_on_request(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", f"{CSV},z,{DAY}\nc,,{DAY}\nc,z,soon\n")

    folder = prepared(tmp_path, file, filters={"nulls": "drop"})

    assert keys(folder) == ["x", "y"]
    assert [(count["step"], count["rows"]) for count in card(folder)["counts"]] == [("read", 5), ("nulls=drop", 2)]
    with pytest.raises(DataError, match=r"line 4: user is missing"):
        prepared(tmp_path, file)


# times ----------------------------------------------------------------------------------------------------------------

NOON = datetime(2024, 1, 1, 12, tzinfo=UTC).timestamp()
TYPED = {
    "timestamp": pa.array([datetime(2024, 1, 1, 12)], pa.timestamp("us")),
    "nanoseconds": pa.array([int(NOON) * 10**9], pa.timestamp("ns")),
    "zoned": pa.array([datetime(2024, 1, 1, 12, tzinfo=UTC)], pa.timestamp("ms", "Europe/Oslo")),
}


@pytest.mark.parametrize("unit", ["s", "ms", "iso", "auto"])
@pytest.mark.parametrize("kind", TYPED)
def test_a_column_of_times_needs_no_unit(tmp_path: Path, kind: str, unit: str) -> None:
    table = pa.table({"user": ["a"], "item": ["x"], "timestamp": TYPED[kind]})
    pq.write_table(table, tmp_path / "rows.parquet")

    assert column(prepared(tmp_path, "rows.parquet", columns={"time_unit": unit}), "time") == [NOON]


def test_a_date_is_its_midnight(tmp_path: Path) -> None:
    table = pa.table({"user": ["a"], "item": ["x"], "timestamp": [date(2024, 1, 1)]})
    pq.write_table(table, tmp_path / "rows.parquet")

    assert column(prepared(tmp_path, "rows.parquet"), "time") == [NOON - 12 * 3600]


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_the_unit_of_numbers_is_found(tmp_path: Path, scale: int) -> None:
    file = write(tmp_path / "rows.csv", f"user,item,timestamp\na,x,{DAY * scale}\nb,y,{(DAY + 9) * scale}\n")

    assert column(prepared(tmp_path, file, columns={"time_unit": "auto"}), "time") == [DAY, DAY + 9]


def test_text_of_times_is_found(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", "user,item,timestamp\na,x,2024-01-01T12:00:00Z\n")

    assert column(prepared(tmp_path, file, columns={"time_unit": "auto"}), "time") == [NOON]


def test_numbers_of_no_one_unit_are_named(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", f"user,item,timestamp\na,x,0\na,x,{DAY}\n")

    with pytest.raises(DataError, match=r"column 'timestamp' holds numbers from 0 to 1700000000, .* no one unit"):
        prepared(tmp_path, file, columns={"time_unit": "auto"})


@pytest.mark.parametrize(
    ("unit", "values", "message"),
    [
        ("s", [DAY, DAY * 1000], r"line 3: time 1700000000000 is of the year 55840 when .* set .*\.time_unit=ms"),
        ("s", [DAY * 10**6], r"line 2: .* in us it is 2023-11-14; set data\.columns\.time_unit=us"),
        ("ms", [DAY], r"line 2: time 1700000000 is of the year 1970 when it is read in ms, .*time_unit=s$"),
        ("us", [DAY * 10**9], r"line 2: .*set data\.columns\.time_unit=ns"),
        ("s", [DAY, 0], r"line 3: time 0 is of the year 1970 .* and no time between 1990 and 2100; mend or remove the"),
        ("iso", ["2024-01-01", "1900-01-01"], r"line 3: a time is of the year 1900, and no time between 1990 and 2100"),
        ("iso", ["2024-01-01", "2999-12-31"], r"line 3: a time is of the year 2999, and no time between"),
    ],
)
def test_a_time_of_no_plausible_year_is_named_with_the_unit_that_fits(
    tmp_path: Path, unit: str, values: list[Any], message: str
) -> None:
    rows = "".join(f"a,x,{value}\n" for value in values)
    file = write(tmp_path / "rows.csv", f"user,item,timestamp\n{rows}")

    with pytest.raises(DataError, match=message):
        prepared(tmp_path, file, columns={"time_unit": unit})


def test_numbers_that_are_no_times_are_an_order(tmp_path: Path) -> None:
    file = write(tmp_path / "rows.csv", "user,item,timestamp\na,y,2\na,x,1\n")

    assert keys(prepared(tmp_path, file)) == ["x", "y"]


# facts ----------------------------------------------------------------------------------------------------------------

USERS = "user,gender,langs\nb,f,en|no\na,m,\n"
ITEMS = '{"item": "y", "genre": ["crime", "drama"], "year": 1999}\n{"item": "unused", "genre": ["war"], "year": 1990}\n'


def with_facts(tmp: Path, **facts: str | None) -> Path:
    write(tmp / "rows.csv", CSV)
    write(tmp / "users.csv", USERS)
    write(tmp / "items.jsonl", ITEMS)
    return prepared(tmp, "rows.csv", facts=facts)


def test_every_column_of_a_table_of_facts_is_a_field(tmp_path: Path) -> None:
    fields = read_fields(with_facts(tmp_path, user="users.csv", item="items.jsonl"))

    assert [(f.name, f.size, f.many, f.values.tolist()) for f in fields.user] == [
        ("gender", 2, False, [[0], [1]]),  # m, f
        ("langs", 3, True, [[0, -1], [1, 2]]),  # unknown; en and no
    ]
    assert [(f.name, f.size, f.many, f.values.tolist()) for f in fields.item] == [
        ("genre", 3, True, [[0, -1], [1, 2]]),  # x is not in the table
        ("year", 2, False, [[0], [1]]),
    ]


def test_lists_of_parquet_are_many_values(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item": ["x", "y"], "genre": [["war"], ["war", "love"]]}), tmp_path / "items.parquet")

    (genre,) = read_fields(with_facts(tmp_path, item="items.parquet")).item

    assert (genre.many, genre.values.tolist()) == (True, [[0, -1], [0, 1]])


def by_days(tmp: Path, rows: str, facts: str) -> list[str]:
    """The lineage of rows cut into days, with facts about their items."""
    write(tmp / "rows.csv", f"user,item,timestamp\n{rows}")
    facts_file = write(tmp / "items.csv", f"item,kind,tags\n{facts}")
    source = load_source(CONF / "data" / "table.yaml", path="rows.csv", facts={"item": str(facts_file)})
    days = ByCalendar(every="day", hours=[0], time_zone="UTC", empty="error", open="keep", since=None)
    return lineage(prepare(replace(source, cut=days), data_root=tmp, cache=tmp / "cache"))


@pytest.mark.parametrize(
    ("facts", "other"),
    [
        ("x,red,a|b\ny,blue,a\nz,green,a|b|c\n", None),
        ("z,red,c\ny,blue,a\nx,red,a|b\n", None),
        ("x,red,a|b\ny,red,a\nz,red,a\n", 0),
        ("x,red,a|c\ny,blue,a\nz,red,a\n", None),  # a value is known by its number: b was met once, and is c now
    ],
)
def test_facts_grow_with_the_rows(tmp_path: Path, facts: str, other: int | None) -> None:
    early = f"a,x,{DAY}\nb,y,{DAY + 1}\n"
    before = by_days(tmp_path, early, "x,red,a|b\ny,blue,a\n")
    after = by_days(tmp_path, f"{early}a,z,{DAY + 90_000}\n", facts)

    assert len(before) == 1
    assert len(after) == 2
    assert first_other(before, after) == other


def test_facts_are_part_of_the_data(tmp_path: Path) -> None:
    without = with_facts(tmp_path)
    some = with_facts(tmp_path, user="users.csv")
    write(tmp_path / "users.csv", USERS)
    pq.write_table(pa.table({"user": ["a", "b"], "gender": ["m", "m"]}), tmp_path / "others.parquet")
    others = prepared(tmp_path, "rows.csv", facts={"user": "others.parquet"})

    assert len({without.name, some.name, others.name}) == 3
    assert not (without / "fields.json").exists()
    assert np.load(others / "user_gender.npy").tolist() == [[0], [0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,age\na,1\na,2\n", r"users2\.csv: user 'a' has 2 rows; a table of facts \(data\.facts\.user\) has one"),
        ("user,age\nz,1\n", r"users2\.csv: it has none of the 2 users of the data"),
        ("user\na\n", r"users2\.csv: it has no column beside 'user'"),
        ("id,age\na,1\n", r"users2\.csv: no column 'user' \(data\.columns\.user\); it has id, age"),
        ("user,age\na\n", r"users2\.csv, line 2: 1 fields where the first line names 2"),
        (None, r"data\.facts\.user: there is no file .*users2\.csv, neither here nor below"),
    ],
)
def test_facts_that_cannot_be_are_named(tmp_path: Path, text: str | None, message: str) -> None:
    if text:
        write(tmp_path / "users2.csv", text)

    with pytest.raises(DataError, match=message):
        with_facts(tmp_path, user="users2.csv")


# keys -----------------------------------------------------------------------------------------------------------------

OLD = "user,item,timestamp\na,x,1\nb,y,2\na,y,3\n"
FULL = f"""user,item,timestamp,stars,visit,u2,i2
a,x,{DAY},3,s,c,v
a,x,{DAY + 1},5,t,c,w
b,y,{DAY + 2},5,t,c,v
"""


def test_options_that_came_later_leave_prepared_data_alone(tmp_path: Path) -> None:
    """The digest of 0.2.0 before the first key of records.LATER."""
    source = load_source(CONF / "data" / "table.yaml", path=str(write(tmp_path / "rows.csv", OLD)))
    months = ByCalendar(every="month", hours=[0], time_zone="UTC", empty="error", open="keep", since=None)

    found = digest_now(replace(source, cut=months), data_root=tmp_path, cache=tmp_path / "cache")

    assert found == "2ff41b866cd0"


CHANGES: Mapping[str, Any] = {
    "name": "other",
    "path": "other.csv",
    "columns.user": "u2",
    "columns.item": "i2",
    "columns.timestamp": "stars",
    "columns.rating": "stars",
    "columns.session": "visit",
    "columns.time_unit": "auto",
    "where": "stars > 3",
    "facts.user": "users.csv",
    "facts.item": "items.jsonl",
    "filters.min_rating": 4,
    "filters.min_user_interactions": 2,
    "filters.min_item_interactions": 2,
    "filters.k_core": 2,
    "filters.repeats": "first",
    "filters.nulls": "drop",
}
SAY_WHERE_FROM = {"source", "generator", "about.summary", "about.origin", "about.terms"}


def leaves(node: Any, path: str = "") -> set[str]:
    if not isinstance(node, dict):
        return {path}
    inner = {f"{path}.{key}".strip("."): value for key, value in node.items() if key != "_target_"}
    return {leaf for key, value in inner.items() for leaf in leaves(value, key)}


def test_every_key_of_a_table_is_tried_here() -> None:
    import yaml

    node = yaml.safe_load((CONF / "data" / "table.yaml").read_text())
    node.pop("defaults")

    assert leaves(node) == CHANGES.keys() | SAY_WHERE_FROM


@pytest.mark.parametrize("key", CHANGES)
def test_every_key_of_a_table_changes_the_prepared_data(tmp_path: Path, key: str) -> None:
    write(tmp_path / "rows.csv", FULL)
    write(tmp_path / "other.csv", CSV)
    write(tmp_path / "users.csv", USERS)
    write(tmp_path / "items.jsonl", ITEMS)
    given = {"rating": "stars"} if key == "filters.min_rating" else {}
    *group, last = key.split(".")
    change: dict[str, Any] = {last: CHANGES[key]}
    plain = {"path": "rows.csv", **({"columns": given} if given else {})}
    changed = plain | ({group[0]: change} if group else change)

    assert prepared(tmp_path, **plain).name != prepared(tmp_path, **changed).name
