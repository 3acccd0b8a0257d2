"""Periods that are like no other, as checks of the contract: of new users, of new items, of one row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from recretrain.data.kinds import Ratings
from recretrain.errors import DataError
from recretrain.testing.contract import CPU, ITEMS, USERS, Case, Check, learn, slices_of
from recretrain.testing.streams import Slices

PLACE = 5  # of the unusual period: it is both asked and learned
NEW_USERS, NEW_ITEMS = range(USERS - 10, USERS), range(ITEMS - 20, ITEMS)  # even ids take the place of even ones

Rows = tuple[list[int], list[int]]


def outlives_a_period_of_new_users(case: Case, folder: Path) -> None:
    """As any other period: none of them has a history, nor a row that was trained."""
    slices = [
        ([NEW_USERS[user % 10] for user in users], list(items)) if index == PLACE else _known(users, items)
        for index, (users, items) in enumerate(slices_of(0))
    ]
    _outlives(case, folder, slices)


def outlives_a_period_of_new_items(case: Case, folder: Path) -> None:
    slices = [
        (list(users), [NEW_ITEMS[item % 20] for item in items]) if index == PLACE else _known(users, items)
        for index, (users, items) in enumerate(slices_of(0))
    ]
    _outlives(case, folder, slices)


def outlives_a_period_of_one_row(case: Case, folder: Path) -> None:
    """Or says that the period is too small, where nothing can be learned of it."""
    slices = [
        (users[:1], items[:1]) if index == PLACE else (users, items)
        for index, (users, items) in enumerate(slices_of(0))
    ]
    _outlives(case, folder, slices, small=True)


def _known(users: Sequence[int], items: Sequence[int]) -> Rows:
    """The rows without those of ids that are to be new."""
    kept = [(u, i) for u, i in zip(users, items, strict=True) if u not in NEW_USERS and i not in NEW_ITEMS]
    return [u for u, _ in kept], [i for _, i in kept]


def _outlives(case: Case, folder: Path, slices: Slices, *, small: bool = False) -> None:
    """Every period is learned and every question gets an answer; ratings may be refused in words."""
    stream = case.stream(folder, slices)
    method = case.method(stream)
    try:
        for task in case.tasks(stream):
            learn(method, task)
            for test in task.tests().values():
                figures = case.evaluator.answer(method, task.index, "test", test, CPU).rows
                assert all(math.isfinite(row.value) for row in figures)
                assert all(row.n == len(test) for row in figures if row.group == "all")
                assert figures or not len(test)
    except DataError:
        assert small or issubclass(case.evaluator.questions.kind, Ratings)


UNUSUAL: Sequence[Check] = (
    outlives_a_period_of_new_users,
    outlives_a_period_of_new_items,
    outlives_a_period_of_one_row,
)
