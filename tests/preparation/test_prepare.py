"""Prepared folders, made from tables of a few rows."""

import json
import logging
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.utils import instantiate

from recretrain.configuration.compose import compose
from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount, Cut
from recretrain.preparation.prepare import describe, digest_of, list_sources, load_source, prepare
from recretrain.preparation.sources.base import flat

CONF = Path(__file__).parents[2] / "conf"
ROWS = [("ann", "x", 1), ("bob", "x", 2), ("ann", "y", 3), ("cat", "y", 4), ("ann", "x", 5), ("bob", "z", 6)]


def write(folder: Path, rows: list[tuple[Any, Any, Any]]) -> Path:
    table = pa.table(dict(zip(("user", "item", "timestamp"), map(list, zip(*rows, strict=True)), strict=True)))
    pq.write_table(table, folder / "rows.parquet")
    return folder / "rows.parquet"


def prepared(tmp: Path, rows: list[tuple[Any, Any, Any]], periods: int = 2, **options: Any) -> Path:
    source = load_source(CONF / "data/table.yaml", path=str(write(tmp, rows)), **options)
    return prepare(replace(source, cut=ByCount(periods=periods)), data_root=tmp, cache=tmp / "cache")


def folders(cache: Path) -> list[Path]:
    """Prepared folders, whole or begun."""
    return [f for f in cache.iterdir() if f.is_dir() and f.name != ".contents"]


def period(folder: Path, index: int) -> list[tuple[str, str]]:
    """User and item keys of a period's rows."""
    keys = [pq.read_table(folder / f"{kind}s.parquet")["key"].to_pylist() for kind in ("user", "item")]
    table = pq.read_table(folder / f"period_{index:03d}.parquet")
    return [(keys[0][u], keys[1][i]) for u, i in zip(table["user"].to_pylist(), table["item"].to_pylist(), strict=True)]


def steps(folder: Path) -> list[tuple[str, int]]:
    return [(c["step"], c["rows"]) for c in json.loads((folder / "stream.json").read_text())["counts"]]


def test_periods_hold_the_rows_in_order_of_time(tmp_path: Path):
    folder = prepared(tmp_path, list(reversed(ROWS)))

    assert period(folder, 0) + period(folder, 1) == [(u, i) for u, i, _ in ROWS]


def test_rows_of_one_time_keep_their_order_however_many_threads_read(tmp_path: Path):
    items = np.random.default_rng(0).integers(0, 1000, 300_000)  # more than DuckDB gives to one thread
    table = pa.table({"user": np.arange(300_000) % 7, "item": items, "timestamp": np.zeros(300_000)})
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=50_000)
    source = load_source(CONF / "data/table.yaml", path=str(tmp_path / "rows.parquet"))

    folder = prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp_path, cache=tmp_path / "cache")

    keys = pq.read_table(folder / "items.parquet")["key"].to_numpy()
    ids = pq.read_table(folder / "period_000.parquet")["item"].to_numpy()
    assert np.array_equal(keys[ids], items)


def test_ids_are_given_in_order_of_first_appearance_and_know_their_first_period(tmp_path: Path):
    folder = prepared(tmp_path, ROWS)

    users = pq.read_table(folder / "users.parquet").to_pydict()
    items = pq.read_table(folder / "items.parquet").to_pydict()
    assert users == {"id": [0, 1, 2], "key": ["ann", "bob", "cat"], "first_period": [0, 0, 1]}
    assert items == {"id": [0, 1, 2], "key": ["x", "y", "z"], "first_period": [0, 0, 1]}


def test_files_have_the_agreed_types(tmp_path: Path):
    folder = prepared(tmp_path, ROWS)

    types = {f.name: str(f.type) for f in pq.read_schema(folder / "period_000.parquet")}
    assert types == {"user": "int64", "item": "int64", "time": "double"}
    assert str(pq.read_schema(folder / "users.parquet").field("first_period").type) == "int32"


def test_the_card_says_what_is_in_the_folder(tmp_path: Path):
    card = json.loads((prepared(tmp_path, ROWS) / "stream.json").read_text())

    assert (card["format"], card["name"], card["source"], card["reader"]) == (1, "table", "raw", "Table")
    assert (card["n_users"], card["n_items"], card["columns"]) == (3, 3, ["user", "item", "time"])
    assert card["periods"][1] == {"name": "1", "rows": 3, "start": 4.0, "end": 6.0}
    assert card["options"]["cut"] == {"by": "ByCount", "periods": 2}


def test_a_second_call_touches_nothing(tmp_path: Path):
    folder = prepared(tmp_path, ROWS)
    before = (folder / "stream.json").stat()

    source = load_source(CONF / "data/table.yaml", path=str(tmp_path / "rows.parquet"), about={"terms": "mine"})
    again = prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache")

    assert again == folder
    assert (folder / "stream.json").stat().st_ino == before.st_ino


def test_whatever_shapes_the_data_names_another_folder(tmp_path: Path):
    folders = [
        prepared(tmp_path, ROWS),
        prepared(tmp_path, ROWS, filters={"repeats": "first"}),
        prepared(tmp_path, ROWS, periods=3),
        prepared(tmp_path, ROWS, name="other"),
        prepared(tmp_path, [*ROWS, ("dan", "x", 7)]),
    ]

    assert len(set(folders)) == 5


def test_a_changed_file_is_prepared_again(tmp_path: Path):
    first = prepared(tmp_path, ROWS)

    assert prepared(tmp_path, [*ROWS[:-1], ("bob", "y", 6)]) != first


def test_a_file_that_was_moved_or_touched_is_the_same_data(tmp_path: Path):
    first = prepared(tmp_path, ROWS)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (tmp_path / "rows.parquet").rename(other / "rows.parquet")
    os.utime(other / "rows.parquet", (1, 1))
    source = load_source(CONF / "data/table.yaml", path=str(other / "rows.parquet"))

    assert prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache") == first


def test_a_file_is_read_once_for_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = prepared(tmp_path, ROWS)
    monkeypatch.setattr("hashlib.file_digest", lambda *_: pytest.fail("read again"))
    source = load_source(CONF / "data/table.yaml", path=str(tmp_path / "rows.parquet"))

    assert prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache") == first


def test_later_repeats_of_a_pair_are_dropped_on_request_and_counted(tmp_path: Path):
    folder = prepared(tmp_path, ROWS, filters={"repeats": "first"})

    assert ("ann", "x") not in period(folder, 1)
    assert steps(folder) == [("read", 6), ("repeats=first", 5)]


def test_repeats_are_an_error_on_request(tmp_path: Path):
    with pytest.raises(DataError, match=r"row 5: user ann and item x again, as in .*row 1 .*filters\.repeats=first"):
        prepared(tmp_path, ROWS, filters={"repeats": "error"})


def test_rare_users_go_first_then_rare_items(tmp_path: Path):
    # cat has one row: it goes, which leaves y and z with one row each: they go; ann and bob are not looked at again
    folder = prepared(tmp_path, ROWS, filters={"min_user_interactions": 2, "min_item_interactions": 2})

    assert steps(folder) == [("read", 6), ("min_user_interactions=2", 5), ("min_item_interactions=2", 3)]
    assert period(folder, 0) + period(folder, 1) == [("ann", "x"), ("bob", "x"), ("ann", "x")]


def test_each_step_counts_what_it_left_also_one_that_removes_nothing(tmp_path: Path):
    folder = prepared(tmp_path, ROWS, filters={"min_user_interactions": 2, "min_item_interactions": 1})

    left = [tuple(count.values()) for count in json.loads((folder / "stream.json").read_text())["counts"]]
    assert left == [("read", 6, 3, 3), ("min_user_interactions=2", 5, 2, 3), ("min_item_interactions=1", 5, 2, 3)]


def test_ids_are_held_against_each_other_once_rows_were_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        prepared(tmp_path, [("3.0", "x", 1), ("3", None, 2), ("4", "x", 3)], filters={"nulls": "drop"})

    assert caplog.messages == []


def test_the_core_is_what_is_left_when_nothing_more_goes(tmp_path: Path):
    # cat and z go, then bob and y (one row each), then only ann's two rows of x are left
    folder = prepared(tmp_path, ROWS, filters={"k_core": 2})

    assert steps(folder) == [("read", 6), ("k_core=2", 2)]


def test_every_filter_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "recretrain"):
        prepared(tmp_path, ROWS, filters={"repeats": "first"})

    assert "table: read 6 rows, 3 users, 3 items" in caplog.messages
    assert "table: repeats=first dropped 1 rows, 0 users, 0 items" in caplog.messages


def test_nothing_left_is_an_error_that_tells_which_filter_took_what(tmp_path: Path):
    with pytest.raises(DataError, match=r"no interactions left \(read left 6, k_core=9 left 0\); loosen data\.filters"):
        prepared(tmp_path, ROWS, filters={"k_core": 9})


def test_more_periods_than_rows_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match="only 6 interactions for 7 periods"):
        prepared(tmp_path, ROWS, periods=7)


def test_a_failure_leaves_nothing_that_looks_complete(tmp_path: Path):
    with pytest.raises(DataError):
        prepared(tmp_path, ROWS, periods=7)

    assert folders(tmp_path / "cache") == []


def test_what_a_killed_preparation_left_behind_is_removed(tmp_path: Path):
    source = load_source(CONF / "data/table.yaml", path=str(write(tmp_path, ROWS)))
    folder = prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache")
    folder.rename(folder.with_name(f".{folder.name}.killed"))

    prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache")

    assert folders(tmp_path / "cache") == [folder]


def test_a_memory_limit_that_is_none_is_an_error(tmp_path: Path):
    source = load_source(CONF / "data/table.yaml", path=str(write(tmp_path, ROWS)))

    with pytest.raises(DataError, match=r"paths\.memory is 'much'; give an amount such as 500MB or 1GB"):
        prepare(source, data_root=tmp_path, cache=tmp_path / "cache", memory="much")


def test_two_at_once_make_one_folder(tmp_path: Path):
    source = load_source(CONF / "data/table.yaml", path=str(write(tmp_path, ROWS)))
    made = []

    def work() -> None:
        made.append(prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache"))

    threads = [threading.Thread(target=work) for _ in range(2)]
    [t.start() for t in threads]
    [t.join() for t in threads]

    assert len(made) == 2
    assert made[0] == made[1]
    assert (made[0] / "stream.json").is_file()


def test_describe_counts_arrivals_and_repeats(tmp_path: Path):
    card = describe(prepared(tmp_path, ROWS))

    assert [(p["new_users"], p["new_items"]) for p in card["periods"]] == [(2, 2), (1, 1)]
    assert (card["rows"], card["repeats"], card["start"], card["end"]) == (6, 1, 1.0, 6.0)


def test_missing_files_are_named_with_where_to_get_them_and_the_synthetic_way(tmp_path: Path):
    source = load_source(CONF / "data/yelp.yaml", source="raw")

    with pytest.raises(DataError) as error:
        prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache")

    for part in ("review.json", str(tmp_path / "yelp"), "https://www.yelp.com/dataset", "academic use"):
        assert part in str(error.value)
    assert "data.source=synthetic" in str(error.value)


@pytest.mark.parametrize("name", ["yelp2019", "globo", "ml1m", "sml_yelp"])
def test_a_set_without_a_generator_does_not_offer_the_synthetic_way(name: str, tmp_path: Path):
    source = load_source(CONF / f"data/{name}.yaml", source="auto")

    with pytest.raises(DataError) as error:
        prepare(replace(source, cut=ByCount(periods=2)), data_root=tmp_path, cache=tmp_path / "cache")

    assert "not found at" in str(error.value)
    assert "synthetic" not in str(error.value)


def test_asking_for_synthetic_data_that_cannot_be_made_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"no generator for table; set data\.source=raw"):
        prepared(tmp_path, ROWS, source="synthetic")


def test_every_data_set_is_listed_with_its_state(tmp_path: Path):
    (tmp_path / "yelp2019").mkdir()
    (tmp_path / "yelp2019/reviews.parquet").touch()

    state = {row["name"]: row["state"] for row in list_sources(CONF, tmp_path)}

    assert set(state) == {f.stem for f in (CONF / "data").glob("*.yaml")}
    assert (state["yelp2019"], state["globo"], state["yelp"], state["table"]) == (
        "found",
        "missing",
        "generator",
        "yours",
    )


def test_a_folder_with_too_few_days_is_listed_as_incomplete(tmp_path: Path):
    (tmp_path / "adressa").mkdir()
    (tmp_path / "adressa/20170101").touch()

    state = {row["name"]: row["state"] for row in list_sources(CONF, tmp_path)}

    assert state["adressa"] == "incomplete"


def real(name: str) -> Path:
    root = Path(os.environ.get("RECRETRAIN_DATA", "nowhere"))
    if not (root / name).exists():
        pytest.skip(f"RECRETRAIN_DATA holds no {name}")
    return root


@pytest.mark.slow
def test_yelp2019_in_40_equal_periods(tmp_path: Path):
    root = real("yelp2019")

    folder = prepare(load_source(CONF / "data/yelp2019.yaml"), data_root=root, cache=tmp_path)

    assert steps(folder) == [("read", 316_354), ("repeats=first", 304_524)]
    assert {p["rows"] for p in describe(folder)["periods"]} == {7613, 7614}


@pytest.mark.slow
def test_globo_in_48_slots(tmp_path: Path):
    root = real("globo")

    folder = prepare(load_source(CONF / "data/globo.yaml"), data_root=root, cache=tmp_path)

    card = json.loads((folder / "stream.json").read_text())
    assert card["counts"][1] == {
        "step": "min_user_interactions=20", "rows": 1_388_460, "users": 35_785, "items": 26_340
    }  # fmt: skip
    assert len(card["periods"]) == 48


def test_preparing_does_not_wait_for_torch(tmp_path: Path):
    import subprocess
    import sys

    code = f"""
import sys
from pathlib import Path
from recretrain.preparation.prepare import load_source, prepare
source = load_source(Path({str(CONF)!r}) / "data/movielens.yaml", source="synthetic")
assert (prepare(source, data_root=Path("."), cache=Path({str(tmp_path)!r})) / "fields.json").is_file()
sys.exit("torch" in sys.modules)
"""

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rows_without_periods_need_a_cut(tmp_path: Path):
    source = replace(load_source(CONF / "data/table.yaml", path=str(write(tmp_path, ROWS))), cut=None)

    with pytest.raises(DataError, match=r"data\.cut is not set, .* for example cut@data\.cut=forty"):
        prepare(source, data_root=tmp_path, cache=tmp_path / "cache")


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF / "data").glob("*.yaml")))
def test_every_data_set_chooses_its_cut_or_brings_its_periods(name: str):
    config, _ = compose([f"data={name}", "data.path=x"])

    source = load_source(CONF / f"data/{name}.yaml", path="x")

    assert instantiate(config.data.cut) == source.cut
    own_tests = config.schedule._target_.endswith((".OwnTests", ".Downstream"))
    assert (source.cut is None) == (name.startswith("sml_") or own_tests)


@pytest.mark.parametrize("cut", sorted(file.stem for file in (CONF / "cut").glob("*.yaml")))
def test_every_cut_can_be_chosen_for_any_data_with_times(cut: str):
    for data in ("yelp", "adressa", "table", "movielens"):
        config, _ = compose([f"data={data}", "data.path=x", f"cut@data.cut={cut}"])

        assert isinstance(instantiate(config.data.cut), Cut)


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("adressa", "efa6a2272d2a"),
        ("bookcrossing", "3dc10b740183"),
        ("diginetica", "ead56f17ad99"),
        ("movielens", "783208066a27"),
        ("yelp", "59f03475c2d1"),
        ("yoochoose", "7978ed814b6c"),
    ],
)
def test_data_that_were_prepared_by_0_1_are_found_again(tmp_path: Path, name: str, digest: str):
    """Names of folders that 0.1 made: groups of options are no part of the digest."""
    (tmp_path / f"{name}-{digest}").mkdir()
    source = load_source(CONF / f"data/{name}.yaml", source="synthetic")

    assert prepare(source, data_root=tmp_path, cache=tmp_path) == tmp_path / f"{name}-{digest}"


def test_a_number_is_the_same_however_it_is_written():
    found = {}
    for eta, drift in ((1.0, 0.0), (1, 0), (0.5, 0.0), (1.0, 1)):
        changed = {"split": {"eta": eta}, "generator": {"opinions": {"drift": drift}}}
        source = load_source(CONF / "data/amazon_pair.yaml", source="synthetic", **changed)
        found[eta, drift, type(eta)] = digest_of([source.options([]), flat({"generator": source.generator})])

    assert found[1, 0, int] == found[1, 0, float]
    assert len(set(found.values())) == 3
