"""One's own tables, well formed and not."""

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose
from recretrain.configuration.signatures import check
from recretrain.errors import ConfigError, DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
GOOD = "user,item,timestamp\na,x,1\nb,y,2\na,y,3\n"


def prepared(tmp: Path, file: Path, **options: Any) -> Path:
    source = load_source(CONF / "data/table.yaml", path=str(file), **options)
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp, cache=tmp / "cache")


def rows(folder: Path) -> dict[str, list[Any]]:
    return pq.read_table(folder / "period_000.parquet").to_pydict()


def write(tmp: Path, text: str, name: str = "rows.csv") -> Path:
    file = tmp / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return file


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", GOOD),
        ("rows.csv.gz", GOOD),
        ("rows.tsv", GOOD.replace(",", "\t")),
        ("rows.csv", GOOD.replace(",", ";")),
        ("rows.csv", "\ufeff" + GOOD.replace("\n", "\r\n")),
    ],
)
def test_text_is_read_whatever_its_separator(tmp_path: Path, name: str, text: str):
    assert rows(prepared(tmp_path, write(tmp_path, text, name)))["item"] == [0, 1, 1]


def test_columns_may_have_any_name(tmp_path: Path):
    file = write(tmp_path, "when,who,what,score,visit\n5,a,x,4.5,s1\n6,b,x,2,s2\n")
    names = {"user": "who", "item": "what", "timestamp": "when", "rating": "score", "session": "visit"}

    assert rows(prepared(tmp_path, file, columns=names)) == {
        "user": [0, 1], "item": [0, 0], "time": [5.0, 6.0], "rating": [4.5, 2.0], "session": [0, 1]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("s", "1546293600"),
        ("ms", "1546293600000"),
        ("us", "1546293600000000"),
        ("iso", "2018-12-31 22:00:00"),
        ("iso", "2019-01-01T00:00:00+02:00"),
        ("iso", "2018-12-31T22:00:00Z"),
    ],
)
def test_times_of_every_unit_become_unix_seconds(tmp_path: Path, unit: str, text: str):
    file = write(tmp_path, f"user,item,timestamp\na,x,{text}\n")

    assert rows(prepared(tmp_path, file, columns={"time_unit": unit}))["time"] == [1546293600.0]


def test_timestamps_of_parquet_are_read_as_iso(tmp_path: Path):
    when = pa.array([1546293600_000], pa.timestamp("ms"))
    pq.write_table(pa.table({"user": [1], "item": [2], "timestamp": when}), tmp_path / "rows.parquet")

    assert rows(prepared(tmp_path, tmp_path / "rows.parquet", columns={"time_unit": "iso"}))["time"] == [1546293600.0]


def test_low_ratings_are_dropped_on_request(tmp_path: Path):
    file = write(tmp_path, "user,item,timestamp,stars\na,x,1,3.5\nb,y,2,4\n")

    folder = prepared(tmp_path, file, columns={"rating": "stars"}, filters={"min_rating": 4})

    assert rows(folder)["rating"] == [4.0]


def test_a_folder_of_files_is_read_in_order_of_names(tmp_path: Path):
    (tmp_path / "all").mkdir()
    write(tmp_path, "user,item,timestamp\na,x,1\n", "all/1.csv")
    write(tmp_path, "user,item,timestamp\nb,y,1\n", "all/2.csv")

    assert rows(prepared(tmp_path, tmp_path / "all"))["user"] == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "user,thing,timestamp\na,x,1\n",
            r"no column 'item' \(data\.columns\.item\); it has user, thing, timestamp; map",
        ),
        (GOOD + "b,x,\n", r"rows\.csv, line 5.*: time is missing .*data\.columns\.time_unit \(now s\)"),
        (GOOD + "b,x,soon\n", r"rows\.csv, line 5.*: time is missing or of the wrong type"),
        (GOOD + "b,x,nan\n", r"rows\.csv, line 5.*: time is missing or of the wrong type"),
        (
            GOOD + ",x,4\n",
            r"rows\.csv, line 5.*: user is missing .*mend or remove it, or drop .* with data\.filters\.nulls=drop",
        ),
        (GOOD + "b,x\n", r"rows\.csv, line 5: 2 fields where the first line names 3 \(b,x\); mend or remove"),
        (GOOD + "b,x,4,5\n", r"rows\.csv, line 5: 4 fields where the first line names 3"),
        ("user,item,timestamp\n", "there are no rows in it; get the data again"),
        ("", "the file is empty; it needs a first line"),
    ],
)
def test_faults_are_named_with_file_line_and_cure(tmp_path: Path, text: str, message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, write(tmp_path, text))


def test_a_null_in_parquet_is_named_by_its_row(tmp_path: Path):
    pq.write_table(pa.table({"user": [1, 2], "item": [3, None], "timestamp": [1, 2]}), tmp_path / "rows.parquet")

    with pytest.raises(DataError, match=r"rows\.parquet, row 2: item is missing"):
        prepared(tmp_path, tmp_path / "rows.parquet")


def test_a_gzip_that_is_cut_short_is_named(tmp_path: Path):
    file = write(tmp_path, GOOD + "".join(f"u{n},i{n * n},{n}\n" for n in range(1000)), "rows.csv.gz")
    file.write_bytes(file.read_bytes()[:-3000])

    with pytest.raises(DataError, match=r"rows\.csv\.gz: the gzip is cut short or damaged after line \d+"):
        prepared(tmp_path, file)


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path):
    (tmp_path / "rows.parquet").write_text(GOOD)

    with pytest.raises(DataError, match=r"rows\.parquet: "):
        prepared(tmp_path, tmp_path / "rows.parquet")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.filters.repeats=last", "data.filters.repeats='last' must be one of keep, first, error"),
        ("data.source=fake", "data.source='fake' must be one of auto, raw, synthetic"),
        ("data.columns.time_unit=minutes", "data.columns.time_unit='minutes' must be one of s, ms, us, ns, iso, auto"),
        ("data.columns.timestamp=null", "data.columns.timestamp=null must be text, not empty"),
        ("data.filters.k_core=-1", "data.filters.k_core=-1 must be a whole number, at least 0"),
        ("data.name=../x", "data.name='../x' must be text, 1 to 80 letters, digits, dots"),
    ],
)
def test_options_that_cannot_work_are_named(override: str, message: str):
    config, _ = compose(["data=table", "data.path=rows.csv", override])

    with pytest.raises(ConfigError) as error:
        check(config, under=["data"])

    assert message in str(error.value)


def test_a_filter_of_ratings_needs_ratings():
    config, _ = compose(["data=table", "data.path=rows.csv", "data.filters.min_rating=4"])

    with pytest.raises(DataError, match=r"data\.filters\.min_rating=4 needs data\.columns\.rating"):
        build(config.data, "data")
