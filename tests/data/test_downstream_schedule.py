"""Downstream tasks one after another: what is learned when, and which earlier tests are asked again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recretrain.data.questions import Arrivals
from recretrain.data.schedule import Downstream, OwnTests
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import ConfigError, DataError
from recretrain.testing.streams import write_stream

#         user, item, part; period 0 is the source, whose last row a user is to be foreseen
ROWS = [
    [(0, 0, "train"), (0, 1, "valid"), (1, 1, "train")],
    [(0, 2, "train"), (1, 3, "test"), (2, 2, "test")],
    [(0, 4, "train"), (1, 5, "valid"), (2, 4, "test")],
    [(0, 6, "train"), (1, 7, "test")],
]
NAMES = ["source", "gender", "age", "click"]


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    slices = [([user for user, _, _ in period], [item for _, item, _ in period]) for period in ROWS]
    parts = [[PARTS.index(part) for _, _, part in period] for period in ROWS]
    spaces = {name: [2 * place, 2 * place + 1] for place, name in enumerate(NAMES)}
    folder = write_stream(tmp_path / "s", slices, n_users=3, n_items=8, parts=parts, spaces=spaces)
    card = json.loads((folder / "stream.json").read_text())
    for period, name in zip(card["periods"], NAMES, strict=True):
        period["name"] = name
    (folder / "stream.json").write_text(json.dumps(card))
    return Stream(
        folder,
        Arrivals(
            candidates=None, catalogue="full", history=None, history_space=None, had="left_out", seed=0, draws="stored"
        ),
    )


def tasks(stream: Stream, order=None):
    return [make() for make in Downstream(order=order).tasks(stream, lambda what, rows: None)]


def again(task) -> list[tuple[int, list[int]]]:
    return [(test.period, test.labels.tolist()) for test in task.again()]


def test_after_each_task_the_tests_of_all_downstream_tasks_before_are_asked_again(stream):
    found = tasks(stream)

    assert [task.period.name for task in found] == NAMES
    assert [again(task) for task in found] == [
        [],
        [],
        [(1, [3, 2])],
        [(1, [3, 2]), (2, [4])],
    ]


def test_own_tests_are_those_of_any_period_with_tests_of_its_own(stream):
    own = [make() for make in OwnTests(learned=None).tasks(stream, lambda what, rows: None)]

    def asked(task):
        return {role: (test.period, test.labels.tolist(), sorted(test.groups)) for role, test in task.tests().items()}

    assert [asked(task) for task in tasks(stream)] == [asked(task) for task in own]


def test_another_order_moves_the_tasks_and_not_the_source(stream):
    found = tasks(stream, ["click", "gender"])

    assert [(task.index, task.period.index) for task in found] == [(0, 0), (1, 3), (2, 1)]
    assert [[period.index for period in task.past] for task in found] == [[], [0], [0, 3]]
    assert again(found[2]) == [(3, [7])]


def test_roles_name_the_periods_that_are_learned_whatever_their_order(stream):
    assert Downstream(order=None).roles(stream) == {"choosing": [0, 2], "test": [1, 2, 3]}
    assert Downstream(order=["age", "gender"]).roles(stream) == Downstream(order=["gender", "age"]).roles(stream)
    assert Downstream(order=["gender"]).roles(stream) == {"choosing": [0], "test": [1]}


def test_orders_that_cannot_be_are_named_with_what_there_is(stream):
    with pytest.raises(DataError, match="has no task 'life'; it has gender, age, click"):
        tasks(stream, ["gender", "life"])
    with pytest.raises(DataError, match="has no task 'source'"):
        tasks(stream, ["source", "age"])
    with pytest.raises(ConfigError, match="names a task twice"):
        Downstream(order=["age", "age"])
