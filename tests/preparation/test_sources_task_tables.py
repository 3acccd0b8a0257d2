"""Downstream tasks of one's own: a table of histories and a table for each task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.errors import InstantiationException

from recretrain.data.downstream import Downstream
from recretrain.data.stream import Stream
from recretrain.errors import DataError
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
SOURCE = "user,item,timestamp\nann,3,30\nbob,4,10\nann,5,20\nann,6,20\n"
TABLES = {
    "source.csv": SOURCE,
    "colour.csv": "user,label\nbob,red\nann,blue\ncat,red\n",
    "books.tsv": "user\tlabel\nann\t3\nann\t9\nbob\t9\n",
}


def opened(tmp: Path, tables: dict[str, str] = TABLES, *, columns: dict[str, Any] | None = None) -> Stream:
    place = tmp / "raw"
    place.mkdir(exist_ok=True)
    for name, text in tables.items():
        (place / name).write_text(text)
    source = load_source(CONF / "data/task_tables.yaml", path=str(place), tables=columns or {})
    return Stream(prepare(source, data_root=tmp, cache=tmp / "cache"), Downstream(candidates=2, history=9, seed=0))


def keyed(stream: Stream, period: int, part: str | None = None) -> list[tuple[str, str]]:
    keys = {kind: pq.read_table(stream.folder / f"{kind}s.parquet")["key"].to_pylist() for kind in ("user", "item")}
    rows = stream.interactions(period, part)
    return [(keys["user"][u], keys["item"][i]) for u, i in zip(rows.user.tolist(), rows.item.tolist(), strict=True)]


def test_the_source_is_in_order_of_time_and_every_other_table_is_a_task(tmp_path: Path):
    stream = opened(tmp_path)

    assert [stream[period].name for period in range(3)] == ["source", "books", "colour"]
    assert keyed(stream, 0, "train") == [("bob", "4"), ("ann", "5"), ("ann", "6")]
    assert keyed(stream, 0, "valid") == [("ann", "3")]
    assert keyed(stream, 1) == [("ann", "3"), ("ann", "9"), ("bob", "9")]  # a book 3, not the item 3
    assert stream.n_items == 4 + 2 + 2
    assert keyed(stream, 2) == [("bob", "red"), ("ann", "blue"), ("cat", "red")]
    assert stream.questions(2).history.tolist() == [[-1, -1, 0], [1, 2, 3], [-1, -1, -1]]


def test_tasks_are_those_that_are_named_in_their_order(tmp_path: Path):
    first = opened(tmp_path, columns={"tasks": ["colour", "books"]})
    one = opened(tmp_path, columns={"tasks": ["colour"]})

    assert [[stream[period].name for period in range(len(stream))] for stream in (first, one)] == [
        ["source", "colour", "books"],
        ["source", "colour"],
    ]


def test_a_source_without_times_is_in_order_already(tmp_path: Path):
    stream = opened(tmp_path, columns={"timestamp": None})

    assert keyed(stream, 0, "train") == [("ann", "3"), ("bob", "4"), ("ann", "5")]
    assert keyed(stream, 0, "valid") == [("ann", "6")]


def test_a_user_is_the_same_in_tables_of_any_form(tmp_path: Path):
    tables = {"source.csv": "person,item,when\n7,1,2024-03-01\n8,1,2024-02-01\n7,2,2024-01-01\n"}
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table({"person": [8, 7], "colour": ["red", "blue"]}), tmp_path / "raw/colour.parquet")
    names = {"user": "person", "timestamp": "when", "time_unit": "iso", "label": "colour"}

    stream = opened(tmp_path, tables, columns=names)

    assert keyed(stream, 0) == [("7", "2"), ("8", "1"), ("7", "1")]
    assert keyed(stream, 1) == [("8", "red"), ("7", "blue")]
    assert stream.n_users == 2


@pytest.mark.parametrize(
    ("changed", "columns", "message"),
    [
        ({"colour.csv": "user,label\nbob,red\nann,\n"}, {}, r"colour.csv, line 3: label is missing or of the wrong"),
        ({"source.csv": SOURCE + "ann,7,soon\n"}, {}, r"source.csv, line 6: timestamp is missing or of the wrong type"),
        ({"source.csv": SOURCE + ",7,50\n"}, {}, r"source.csv, line 6: user is missing"),
        ({"source.csv": SOURCE + "ann,7\n"}, {}, r"source.csv, line 6: 2 fields where the first line names 3"),
        ({}, {"label": "paint"}, r"no column 'paint' \(data.tables.label\); it has user, label; map it in data.tables"),
        ({}, {"tasks": ["age"]}, r"no age.csv or age.parquet beside source.csv; add it, or set data.tables.tasks"),
        ({}, {"tasks": []}, r"data.tables.tasks is empty"),
        ({}, {"tasks": ["source"]}, r"data.tables.tasks names a task source, as the first period is called"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, changed: dict[str, str], columns: dict[str, Any], message: str):
    with pytest.raises((DataError, InstantiationException), match=message):
        opened(tmp_path, TABLES | changed, columns=columns)


def test_a_source_alone_has_no_task(tmp_path: Path):
    with pytest.raises(DataError, match=r"raw: no table of a task beside source.csv; add it"):
        opened(tmp_path, {"source.csv": SOURCE})


def test_no_source_is_no_data(tmp_path: Path):
    with pytest.raises(DataError, match=r"source.parquet or source.csv, and a table .* not found"):
        opened(tmp_path, {"colour.csv": TABLES["colour.csv"]})
