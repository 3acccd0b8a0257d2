"""Periods with tests of their own: what is learned, what is answered, and as what."""

from __future__ import annotations

from pathlib import Path

import pytest

from recretrain.data.questions import Arrivals, Episodes, SessionPrefixes
from recretrain.data.schedule import NextPeriod, OwnTests
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import DataError
from recretrain.testing.streams import write_stream

#         user, item, part
ROWS = [
    [(0, 0, "train"), (1, 1, "train"), (0, 2, "valid"), (2, 3, "test"), (1, 2, "test")],
    [(0, 3, "train"), (1, 0, "train")],
    [(2, 1, "test"), (0, 1, "train"), (2, 0, "train")],
]


def opened(folder: Path, asks=None, rows=ROWS) -> Stream:
    slices = [([user for user, _, _ in period], [item for _, item, _ in period]) for period in rows]
    parts = [[PARTS.index(part) for _, _, part in period] for period in rows]
    write_stream(folder, slices, n_users=3, n_items=4, parts=parts)
    asked = Arrivals(
        candidates=None, catalogue="full", history=None, history_space=None, had="left_out", seed=0, draws="stored"
    )
    return Stream(folder, asks or asked)


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return opened(tmp_path / "s")


def tasks(stream: Stream, on_read=lambda what, rows: None):
    return [make() for make in OwnTests(learned=None).tasks(stream, on_read)]


def test_every_period_is_learned_and_then_its_own_tests_are_answered(stream):
    found = [
        (
            task.index,
            task.period.index,
            task.period.train.item.tolist(),
            {role: (test.period, test.labels.tolist()) for role, test in task.tests().items()},
        )
        for task in tasks(stream)
    ]

    assert found == [
        (0, 0, [0, 1], {"choosing": (0, [2]), "test": (0, [3, 2])}),
        (1, 1, [3, 0], {}),
        (2, 2, [1, 0], {"test": (2, [1])}),
    ]


def test_roles_are_the_periods_that_have_such_rows(stream):
    assert OwnTests(learned=None).roles(stream) == {"choosing": [0], "test": [0, 2]}


def test_the_tests_of_a_period_are_a_group_of_its_name_beside_their_own(stream):
    groups = tasks(stream)[0].tests()["test"].groups

    assert {name: members.tolist() for name, members in groups.items()} == {
        "0": [True, True],
        "new_user": [True, True],
        "new_item": [True, True],
    }


def test_the_past_of_a_task_is_learned_rows_alone_and_reading_it_is_reported(stream):
    read = {}
    *_, last = tasks(stream, read.__setitem__)
    assert read == {}

    assert [period.train.item.tolist() for period in last.past] == [[0, 1], [3, 0]]
    assert read == {"0/rows": 2, "1/rows": 2}
    last.tests()
    assert read == {"0/rows": 2, "1/rows": 2}  # what is asked is not what is learned


@pytest.mark.parametrize("asks", [SessionPrefixes(history=3), "episodes"], ids=["prefixes", "episodes"])
def test_a_part_without_rows_is_not_asked_by_any_maker(tmp_path, asks):
    options = {
        "shortest": 2,
        "longest": 9,
        "queries": 1,
        "split": "in_time",
        "users": "all",
        "supports": [1],
        "seed": 0,
    }
    rows = [ROWS[0], ROWS[1], [(0, 0, "train"), (2, 1, "test"), (2, 0, "test"), (2, 2, "test")]]
    stream = opened(tmp_path / "s", Episodes(**options) if asks == "episodes" else asks, rows)

    _, second, third = tasks(stream)

    assert second.tests() == {}
    assert list(third.tests()) == ["test"]
    assert set(third.tests()["test"].user.tolist()) == {2}


def test_data_without_tests_of_their_own_name_the_cure(tmp_path):
    folder = write_stream(tmp_path / "s", [([0], [0]), ([1], [1])], n_users=2, n_items=2)
    whole = Stream(folder, SessionPrefixes(history=3))
    untested = opened(tmp_path / "u", rows=[[(0, 0, "train"), (1, 1, "valid")]])

    for stream in (whole, untested):
        with pytest.raises(DataError, match=r"no period of tiny has rows of the part test.*use schedule=next_period"):
            OwnTests(learned=None).tasks(stream, lambda what, rows: None)


def test_a_warm_up_of_parted_periods_learns_and_chooses_by_all_their_parts(stream):
    schedule = NextPeriod(start=2, first_test=2, choosing=0, warm_up="start", last_test=None, again=0)
    (make,) = schedule.tasks(stream, lambda what, rows: None)

    task = make()

    assert task.period.train.item.tolist() == [0, 1, 3, 0]
    assert task.period.questions.labels.tolist() == [0, 1, 3, 0]
    assert task.period.valid.labels.tolist() == [2]
    assert task.tests()["test"].labels.tolist() == [1, 1, 0]  # the next period, whole
