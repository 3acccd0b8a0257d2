"""MovieLens users' timed histories, and facts about them as downstream tasks."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

from recretrain.data.downstream import Downstream
from recretrain.data.stream import Stream
from recretrain.errors import DataError
from recretrain.preparation.prepare import describe, load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
RATINGS = ["2::10::5::30", "1::20::3::20", "1::30::2::", "1::10::4::20", "2::40::1::10", "1::50::4::5", "3::10::1::"]
USERS = ["1::F::1::10::48067", "2::M::56::16::70072", "3::M::25::15::55117"]


def prepared(tmp: Path, ratings: list[str] = RATINGS, users: list[str] = USERS, **changes: Any) -> Path:
    place = tmp / "raw"
    place.mkdir(exist_ok=True)
    (place / "ratings.dat").write_text("".join(f"{line}\n" for line in ratings))
    (place / "users.dat").write_text("".join(f"{line}\n" for line in users))
    source = load_source(CONF / "data/movielens_profiles.yaml", path=str(place), source="raw", **changes)
    return prepare(source, data_root=tmp, cache=tmp / "cache")


def keyed(folder: Path, period: int) -> list[tuple[int, str, str]]:
    """User, film or label, and part of each row."""
    keys = {kind: pq.read_table(folder / f"{kind}s.parquet")["key"].to_pylist() for kind in ("user", "item")}
    rows = pq.read_table(folder / f"period_{period:03d}.parquet").to_pylist()
    parts = ("train", "valid", "test")
    return [(keys["user"][row["user"]], keys["item"][row["item"]], parts[row["part"]]) for row in rows]


def test_the_source_is_in_order_of_time_and_then_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)

    rows = keyed(prepared(tmp_path), 0)

    assert rows == [
        (1, "50", "train"),
        (2, "40", "train"),
        (1, "20", "train"),
        (1, "10", "valid"),  # in the same second as 20, and below it in the file
        (2, "10", "valid"),
    ]
    assert "2 of 7 ratings have no time and are left out" in caplog.text


def test_each_fact_is_a_task_of_all_users(tmp_path: Path):
    folder = prepared(tmp_path)

    assert [period["name"] for period in describe(folder)["periods"]] == ["source", "gender", "age", "occupation"]
    labels = [[(user, label) for user, label, _ in keyed(folder, period)] for period in (1, 2, 3)]
    assert labels == [
        [(1, "F"), (2, "M"), (3, "M")],
        [(1, "1"), (2, "56"), (3, "25")],
        [(1, "10"), (2, "16"), (3, "15")],
    ]
    parts = [[part for _, _, part in keyed(folder, period)] for period in (1, 2, 3)]
    assert parts[0] == parts[1] == parts[2]
    assert not list(folder.glob("fields.json"))  # facts are what is asked, so no method may be given them


def test_tasks_are_those_that_are_asked_for_in_their_order(tmp_path: Path):
    folder = prepared(tmp_path, profiles={"tasks": ["age", "gender"]})

    assert [period["name"] for period in describe(folder)["periods"]] == ["source", "age", "gender"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ratings": [*RATINGS, "x::10::5::30"]}, r"ratings.dat, line 8 \(x::10::5::30\): user is not a whole number"),
        ({"ratings": ["1::10::5"]}, r"ratings.dat, line 1 \(1::10::5\): not four fields .*data.profiles.release"),
        ({"users": ["1::F::1"]}, r"users.dat, line 1 \(1::F::1\): 3 fields separated by '::', not 5"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, changed: dict[str, Any], message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, **changed)


def test_users_without_facts_are_not_there(tmp_path: Path):
    prepared(tmp_path)
    (tmp_path / "raw/users.dat").unlink()

    with pytest.raises(DataError, match=r"users.dat is missing; get ml-1m again"):
        load_source(CONF / "data/movielens_profiles.yaml", path=str(tmp_path / "raw")).find(tmp_path)


def test_generated_users_show_in_what_they_have_seen(tmp_path: Path):
    source = load_source(CONF / "data/movielens_profiles.yaml", source="synthetic")
    folder = prepare(source, data_root=tmp_path, cache=tmp_path / "cache")
    stream = Stream(folder, Downstream(candidates=1, history=300, seed=0))
    asked = [stream.questions(1, part) for part in ("train", "test")]
    bags = [np.zeros((len(test), stream.n_items + 1)) for test in asked]
    for bag, test in zip(bags, asked, strict=True):
        np.put_along_axis(bag, test.history.long().numpy(), 1, axis=1)

    model = LogisticRegression(C=0.1).fit(bags[0][:, :-1], asked[0].labels)

    assert model.score(bags[1][:, :-1], asked[1].labels) > 0.75  # of genders that are equally common
    assert stream.synthetic


@pytest.mark.skipif(
    not (Path(os.environ.get("RECRETRAIN_DATA", "none")) / "ml-1m/users.dat").is_file(),
    reason="RECRETRAIN_DATA holds no ml-1m",
)
def test_the_real_files_hold_as_many_users_and_films_as_are_known(tmp_path: Path):
    source = load_source(CONF / "data/movielens_profiles.yaml", source="raw")
    folder = prepare(source, data_root=Path(os.environ["RECRETRAIN_DATA"]), cache=tmp_path)

    source_rows, *tasks = describe(folder)["periods"]
    assert (source_rows["rows"], source_rows["new_users"], source_rows["new_items"]) == (663_062, 6_038, 3_613)
    assert [(task["train"], task["valid"], task["test"], task["new_items"]) for task in tasks] == [
        (3_805, 604, 1_631, labels) for labels in (2, 7, 21)
    ]
