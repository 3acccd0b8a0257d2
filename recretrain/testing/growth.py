"""Data that grow by periods, users and items, as a check of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from recretrain.data.kinds import ColdUserRatings
from recretrain.data.schedule import NextPeriod
from recretrain.data.stream import Stream
from recretrain.errors import ConfigError
from recretrain.methods.base import RetrainMethod
from recretrain.testing.contract import ITEMS, USERS, Case, learn, same, slices_of, through_a_file
from recretrain.testing.streams import tasteful_slices, write_stream

_MORE = 12  # users, and items, that come in the last two periods


def grows_with_its_data(case: Case, folder: Path) -> None:
    """A run that is continued on data with later periods, users and items equals one that knew them from the start, or
    goes on with finite answers where its method or backbone says why not (`grows_apart`), or refuses.

    Asked of the next period alone: other schedules begin anew with other data.
    """
    if not isinstance(case.schedule, NextPeriod) or issubclass(case.evaluator.questions.kind, ColdUserRatings):
        return
    new = tasteful_slices(3, 50, n_users=_MORE, n_items=_MORE, seed=3)[1:]  # every one of the new appears once more
    later = [([USERS + u for u in users], [ITEMS + i for i in items]) for users, items in new]
    rows = slices_of(0)
    rows = [*rows[:5], *(([*a[0], *b[0]], [*a[1], *b[1]]) for a, b in zip(rows[5:], later, strict=True))]
    asks = case.evaluator.questions
    early = Stream(write_stream(folder / "early", rows[:5], n_users=USERS, n_items=ITEMS), asks)
    whole = Stream(write_stream(folder / "whole", rows, n_users=USERS + _MORE, n_items=ITEMS + _MORE), asks)
    before, unbroken = case.method(early), case.method(whole)
    tasks = case.tasks(early)
    for task in tasks:
        learn(before, task)
    for task in case.tasks(whole)[: len(tasks)]:
        learn(unbroken, task)
    grown = case.method(whole)
    if (refusal := _refusal(grown, through_a_file(before.state_dict()))) is not None:
        assert "cannot grow" in refusal
        return
    apart = grown.grows_apart or grown.backbone.grows_apart
    for task in case.tasks(whole)[len(tasks) :]:
        learn(grown, task)
        learn(unbroken, task)
        for test in task.tests().values():
            answers, wanted = case.answers(grown, test), case.answers(unbroken, test)
            assert bool(torch.isfinite(answers.double()).all())
            assert apart or torch.equal(answers, wanted), f"task {task.index}: the grown run answers otherwise"
        states = [through_a_file(method.state_dict()) for method in (grown, unbroken)]
        assert apart or same(*states), f"task {task.index}: the grown run's state differs"


def _refusal(method: RetrainMethod[Any], state: Mapping[str, Any]) -> str | None:
    """The message with which a method refuses to take over a state; None where it takes it."""
    try:
        method.load_state_dict(state)
    except ConfigError as error:
        return str(error)
    return None
