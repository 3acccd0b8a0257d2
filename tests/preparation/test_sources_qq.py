"""The layout of PeterRec's authors: a history a line, and the same with labels for a task."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recretrain.data.downstream import Downstream
from recretrain.data.stream import Stream
from recretrain.errors import DataError
from recretrain.preparation.prepare import describe, load_source, prepare
from recretrain.preparation.sources.qq import Files
from recretrain.preparation.sources.tasks import Split

CONF = Path(__file__).parents[2] / "conf"
HISTORIES = ["0,0,5,7", "5,8,9,7", "0,0,0,9", "7,7,5,8"]
GENDER = ["0,0,5,7,,1", "5,8,9,7,,2", "7,7,5,8,,1"]
CLICK = ["5,8,9,7,,4,6", "0,3,5,9,,4"]  # the second history is of no line of the source
NAMES = {"source": "original_desen_pretrain_3.csv", "gender": "original_desen_gender_3.csv"} | {
    "click": "original_desen_finetune_click_nouserID_3.csv"
}


def written(folder: Path, **rows: list[str] | str) -> Path:
    folder.mkdir(parents=True)
    for name, lines in ({"source": HISTORIES, "gender": GENDER, "click": CLICK} | rows).items():
        (folder / NAMES[name]).write_text(lines if isinstance(lines, str) else "\n".join(lines))  # no last newline
    return folder


def opened(tmp: Path, place: Path, **changes: Any) -> Stream:
    source = load_source(CONF / "data/qq.yaml", path=str(place), source="raw", **changes)
    return Stream(prepare(source, data_root=tmp, cache=tmp / "cache"), Downstream(candidates=9, history=9, seed=0))


def keyed(stream: Stream, period: int, part: str | None = None) -> list[tuple[int, int]]:
    """User, by the order of lines in the source, and raw id of the item of each row."""
    item = pq.read_table(stream.folder / "items.parquet").column("key").to_pylist()
    rows = stream.interactions(period, part)
    return [(user, item[i]) for user, i in zip(rows.user.tolist(), rows.item.tolist(), strict=True)]


def test_the_source_is_the_first_period_and_each_users_last_item_chooses(tmp_path: Path):
    stream = opened(tmp_path, written(tmp_path / "raw"))

    assert [stream[period].name for period in range(3)] == ["source", "gender", "click"]
    assert list(stream.spaces) == ["source", "gender", "click"]
    assert keyed(stream, 0, "train") == [(0, 5), (1, 5), (1, 8), (1, 9), (2, 9), (3, 7), (3, 7), (3, 5)]
    assert keyed(stream, 0, "valid") == [(0, 7), (1, 7), (3, 8)]  # user 2 has one item alone


def test_labels_belong_to_the_users_of_their_histories(tmp_path: Path):
    stream = opened(tmp_path, written(tmp_path / "raw"))

    assert keyed(stream, 1) == [(0, 1), (1, 2), (3, 1)]
    assert keyed(stream, 2) == [(1, 4), (1, 6), (4, 4)]
    assert keyed(stream, 2, "context") == [(4, 3), (4, 5), (4, 9)]
    items = pq.read_table(stream.folder / "items.parquet").column("key").to_pylist()
    asked = stream.questions(2)
    given = [[items[item] for item in row if item >= 0] for row in asked.history.tolist()]
    assert [*zip(asked.user.tolist(), given, strict=True)] == [(1, [5, 8, 9, 7]), (1, [5, 8, 9, 7]), (4, [3, 5, 9])]


def test_the_history_of_a_user_whom_the_source_lacks_is_given_once(tmp_path: Path):
    stream = opened(tmp_path, written(tmp_path / "raw", gender=[*GENDER, "0,3,5,9,,2"]))

    assert keyed(stream, 1, "context") == [(4, 3), (4, 5), (4, 9)]
    assert keyed(stream, 2, "context") == []
    assert (stream.questions(2).history >= 0).sum(1).tolist() == [4, 4, 3]


def test_zero_is_an_item_like_any_other_where_it_is_asked_for(tmp_path: Path):
    place = written(tmp_path / "raw")

    stream = opened(tmp_path, place, files={"zero": "item"})

    assert [item for user, item in keyed(stream, 0) if user == 0] == [0, 0, 5, 7]
    assert stream.n_items == opened(tmp_path, place).n_items + 1


def test_labels_of_few_rows_are_left_out_where_it_is_asked_for(tmp_path: Path):
    place = written(tmp_path / "raw", click=["5,8,9,7,,4,6", "0,0,5,7,,4", "7,7,5,8,,6,8"])

    stream = opened(tmp_path, place, files={"least_label_rows": 2})

    assert sorted(keyed(stream, 2)) == [(0, 4), (1, 4), (1, 6), (3, 6)]  # 8 is there once


def test_equal_histories_are_one_user_and_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)

    stream = opened(tmp_path, written(tmp_path / "raw", source=[*HISTORIES, "0,0,5,7"]))

    assert [item for user, item in keyed(stream, 0) if user == 0] == [5, 7]
    assert "1 histories that another line has too" in caplog.text
    assert "3 tasks without a file (like, age, life)" in caplog.text
    assert "1 histories of click that the source lacks" in caplog.text
    assert "7 zeros of histories" in caplog.text  # those of the repeated line too


def many(count: int = 200) -> dict[str, list[str]]:
    histories = [f"0,{n + 1},{2 * n + 1},{n % 7 + 1}" for n in range(count)]
    clicks = [f"{row},,{1 + n % 5},{9 + n % 3}" for n, row in enumerate(histories)]
    return {"source": histories, "gender": [f"{row},,{1 + n % 2}" for n, row in enumerate(histories)], "click": clicks}


def parted(stream: Stream, period: int) -> Mapping[str, Counter[tuple[Any, Any]]]:
    """The raw user and label of each row of a part."""
    user = pq.read_table(stream.folder / "users.parquet").column("key").to_pylist()
    item = pq.read_table(stream.folder / "items.parquet").column("key").to_pylist()
    rows = {part: stream.interactions(period, part) for part in ("train", "valid", "test")}
    return {
        part: Counter((user[u], item[i]) for u, i in zip(r.user.tolist(), r.item.tolist(), strict=True))
        for part, r in rows.items()
    }


def test_the_order_of_lines_changes_nothing_but_the_order_of_rows(tmp_path: Path):
    lines = many()
    turned = lines | {"gender": lines["gender"][::-1], "click": lines["click"][50:] + lines["click"][:50]}

    first, other = (opened(tmp_path, written(tmp_path / name, **rows)) for name, rows in (("a", lines), ("b", turned)))

    assert keyed(first, 0) == keyed(other, 0)
    for period in (1, 2):
        assert parted(first, period) == parted(other, period)
        assert keyed(first, period) != keyed(other, period)


def test_a_seed_parts_rows_by_shares_and_another_seed_differently(tmp_path: Path):
    place = written(tmp_path / "raw", **many())

    stream, other = opened(tmp_path, place), opened(tmp_path, place, split={"seed": 1})

    sizes = [{part: sum(rows.values()) for part, rows in parted(stream, period).items()} for period in (1, 2)]
    assert sizes == [{"train": 126, "valid": 20, "test": 54}, {"train": 252, "valid": 40, "test": 108}]
    for period in (1, 2):
        assert len(parted(stream, period)["test"] & parted(other, period)["test"]) < 45


def test_a_split_by_users_keeps_all_rows_of_a_user_together(tmp_path: Path):
    place = written(tmp_path / "raw", **many())

    by = {by: parted(opened(tmp_path, place, split={"by": by}), 2) for by in ("rows", "users")}

    users = {by: {part: {user for user, _ in rows} for part, rows in parts.items()} for by, parts in by.items()}
    assert users["rows"]["train"] & users["rows"]["test"]
    assert not users["users"]["train"] & users["users"]["test"]
    assert [len(users["users"][part]) for part in ("train", "valid", "test")] == [126, 20, 54]


def test_the_order_of_tasks_is_that_of_the_configuration(tmp_path: Path):
    place = written(tmp_path / "raw")
    source = load_source(CONF / "data/qq.yaml", path=str(place), source="raw")
    turned = replace(source, files=replace(source.files, tasks={name: NAMES[name] for name in ("click", "gender")}))

    folders = [prepare(each, data_root=tmp_path, cache=tmp_path / "cache") for each in (source, turned)]

    assert [[period["name"] for period in describe(f)["periods"]] for f in folders] == [
        ["source", "gender", "click"],
        ["source", "click", "gender"],
    ]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gender": ["0,0,5,7,,1", "5,8,9,7,2"]}, r"_gender_3.csv, line 2 \(5,8,9,7,2\): no two commas between"),
        ({"gender": ["0,0,5,7,,1", "", "5,8,9,7,,"]}, r"_gender_3.csv, line 3 \(5,8,9,7,,\): no label after the two"),
        ({"gender": [",,1"]}, r"_gender_3.csv, line 1 \(,,1\): the history is empty"),
        ({"gender": ["0,0,5,x,,1"]}, r"line 1 \(0,0,5,x,,1\): an id is not a whole number of at most 18 digits; mend"),
        ({"click": ["5,8,9,7,,4,b"]}, r"click_nouserID_3.csv, line 1 .*: an id is not a whole number"),
        ({"source": ["0,0,5,7", "5,8,,9"]}, r"_pretrain_3.csv, line 2 \(5,8,,9\): an id is missing between two"),
        ({"source": ["0,0,5,7", "5,8,9"]}, r"line 2 \(5,8,9\): 3 ids in the history where the source's first line has"),
        ({"gender": ["0,5,7,,1"]}, r"_gender_3.csv, line 1 \(0,5,7,,1\): 3 ids in the history where .* line has 4; "),
        ({"gender": "\n \n"}, r"_gender_3.csv: the file is empty"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, changed: dict[str, Any], message: str):
    with pytest.raises(DataError, match=message):
        opened(tmp_path, written(tmp_path / "raw", **changed))


def test_a_line_of_other_bytes_is_named(tmp_path: Path):
    place = written(tmp_path / "raw")
    (place / NAMES["gender"]).write_bytes(b"0,0,5,7,,1\n5,8,9,7,,\xff\n")

    with pytest.raises(DataError, match=r"_gender_3.csv, line 2 .*: an id is not a whole number"):
        opened(tmp_path, place)


def test_lines_may_end_as_they_like(tmp_path: Path):
    stream = opened(tmp_path, written(tmp_path / "raw", source="0,0,5,7 \r\n\r\n5,8,9,7\n 7,7,5,8"))

    assert keyed(stream, 0, "valid") == [(0, 7), (1, 7), (2, 8)]
    assert keyed(stream, 1) == [(0, 1), (1, 2), (2, 1)]


def test_histories_without_any_task_are_not_enough(tmp_path: Path):
    place = written(tmp_path / "raw")
    (place / NAMES["gender"]).unlink()
    (place / NAMES["click"]).unlink()

    with pytest.raises(DataError, match=r"original_desen_pretrain_3.csv is there, but no file of a task"):
        opened(tmp_path, place)


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match=r"data.split.valid=0.8 and data.split.test=0.27 leave nothing to learn from"):
        Split(valid=0.8, test=0.27, by="rows", seed=0)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"source": "x.csv"}, "data.files.tasks names a task source, as the first period is called"),
        ({}, "data.files.tasks is empty; name at least one task"),
    ],
)
def test_tasks_have_names_of_their_own(tasks: dict[str, str], message: str):
    with pytest.raises(DataError, match=message):
        Files(source_rows="rows.csv", tasks=tasks, zero="pad", least_label_rows=1)


@pytest.mark.skipif(
    not (Path(os.environ.get("RECRETRAIN_DATA", "none")) / "ttl_cut" / NAMES["source"]).is_file(),
    reason="RECRETRAIN_DATA holds no ttl_cut",
)
def test_the_real_files_hold_as_many_rows_as_are_known(tmp_path: Path):
    source = load_source(CONF / "data/qq.yaml", source="raw")
    folder = prepare(source, data_root=Path(os.environ["RECRETRAIN_DATA"]), cache=tmp_path)

    periods = describe(folder)["periods"]
    assert {period["name"]: (period["rows"] - period["context"], period["new_items"]) for period in periods} == {
        "source": (545_742, 123_726),
        "gender": (9_984, 2),
        "click": (18_048, 7_089),
        "like": (1_893, 1_053),
    }


@pytest.mark.skipif(
    not (Path(os.environ.get("RECRETRAIN_DATA", "none")) / "coldrec_sample").is_dir(),
    reason="RECRETRAIN_DATA holds no coldrec_sample",
)
def test_the_published_sample_is_read(tmp_path: Path):
    source = load_source(CONF / "data/coldrec_sample.yaml", source="raw")
    folder = prepare(source, data_root=Path(os.environ["RECRETRAIN_DATA"]), cache=tmp_path)

    rows, clicks = describe(folder)["periods"]
    assert (rows["new_users"], rows["new_items"]) == (30, 173)  # with 0, the 174 of the released vocabulary
    assert (clicks["rows"], clicks["context"], clicks["new_users"]) == (47, 0, 0)
