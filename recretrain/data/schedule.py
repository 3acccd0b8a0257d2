"""A schedule turns a stream into tasks: what is learned when, and which questions are answered after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from recretrain.data.prefixes import PAD
from recretrain.data.stream import Past, Period, Stream, TestSet, concatenate
from recretrain.errors import DataError

OnRead = Callable[[str, int], None]


@dataclass(frozen=True)
class Task:
    """One beat of a run: learn `period`, with `past` at hand, then answer `tests`."""

    index: int
    period: Period
    past: Sequence[Period]
    tests: Callable[[], Mapping[str, TestSet]]  # called after the update, by the runner alone


class Schedule(Protocol):
    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        """The tasks in order, each made when its turn comes; every row a task reads is told to `on_read`."""

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        """Which periods are answered as `choosing` (of hyper-parameters) and which as `test`."""


class NextPeriod:
    """Learn period t, answer period t + 1 (SML, sections 3-4; periods counted from 0).

    The first task is the warm-up block: all periods before `start` at once (`warm_up="start"`), all but the last of
    those before `first_test` (`"tests"`: the released baselines' pre-training), or as many as a number says.
    Periods from `first_test` on are answered, the first `choosing` of them only to choose hyper-parameters.
    """

    def __init__(
        self, *, start: int, first_test: int, choosing: int, warm_up: str | int, last_test: int | None
    ) -> None:
        self.start = start
        self.first_test = first_test
        self.choosing = choosing
        self.warm_up = warm_up
        self.last_test = last_test
        self._block = self._warm_up_length()
        self._check()

    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        last = self._last(stream)
        return [
            self._maker(stream, on_read, index, learned) for index, learned in enumerate(range(self._block - 1, last))
        ]

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        answered = range(self.first_test, self._last(stream) + 1)
        return {"choosing": answered[: self.choosing], "test": answered[self.choosing :]}

    def _maker(self, stream: Stream, on_read: OnRead, index: int, learned: int) -> Callable[[], Task]:
        def make() -> Task:
            if index == 0:
                period, past = self._warm_up_block(stream, on_read), Past([])
            else:
                period = stream[learned].watched(on_read)
                past = Past([lambda p=p: stream[p].watched(on_read) for p in range(learned)])  # type: ignore[misc]
            return Task(index, period, past, lambda: self._tests(stream, learned + 1))

        return make

    def _warm_up_block(self, stream: Stream, on_read: OnRead) -> Period:
        first, last = stream[0].name, stream[self._block - 1].name
        return Period(
            self._block - 1,
            f"{first}..{last}",
            lambda: concatenate([stream.interactions(p) for p in range(self._block)]),
            lambda: {"arrivals": joined(self._block - 1, [stream.questions(p) for p in range(self._block)])},
            on_read,
        )

    def _tests(self, stream: Stream, period: int) -> Mapping[str, TestSet]:
        if period < self.first_test:
            return {}
        role = "choosing" if period < self.first_test + self.choosing else "test"
        return {role: stream[period].own["arrivals"]}

    def _last(self, stream: Stream) -> int:
        """The last period that is answered."""
        end = len(stream) - 1
        if self.first_test > end:
            raise DataError(
                f"schedule.first_test={self.first_test} but {stream.name} has periods 0..{end}; "
                "lower schedule.first_test or cut the data into more periods"
            )
        return end if self.last_test is None else min(self.last_test, end)

    def _warm_up_length(self) -> int:
        named = {"start": self.start, "tests": self.first_test - 1}
        if isinstance(self.warm_up, int):
            return self.warm_up
        if self.warm_up not in named:
            raise DataError(f"schedule.warm_up={self.warm_up}: give start, tests or a number of periods")
        return named[self.warm_up]

    def _check(self) -> None:
        if not 1 <= self._block <= self.first_test:
            raise DataError(
                f"the warm-up block of {self._block} periods must hold at least one and end before "
                f"schedule.first_test={self.first_test}; change schedule.warm_up or schedule.start"
            )
        if self.last_test is not None and self.last_test < self.first_test:
            raise DataError(
                f"schedule.last_test={self.last_test} ends the run before schedule.first_test={self.first_test}; "
                "raise it"
            )
        if self.choosing < 0:
            raise DataError(f"schedule.choosing={self.choosing} must be 0 or more")


class States:
    """The periods are states of one time, such as old and new users: learn one, answer the questions of all (MeLU).

    All of them are one test set, each state a group under its period's name. The learned state's row is a training
    error: its questions are among what is learned from.
    """

    def __init__(self, *, learned: int) -> None:
        self.learned = learned

    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        if not 0 <= self.learned < len(stream):
            raise DataError(f"schedule.learned={self.learned} but {stream.name} has states 0..{len(stream) - 1}")
        return [lambda: Task(0, stream[self.learned].watched(on_read), Past([]), lambda: self._tests(stream))]

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        return {"choosing": [], "test": [self.learned]}

    def _tests(self, stream: Stream) -> Mapping[str, TestSet]:
        states = [stream[state] for state in range(len(stream))]
        tests = [test for state in states for test in state.own.values()]
        return {"test": stacked(self.learned, {s.name: t for s, t in zip(states, tests, strict=True)})}


def stacked(period: int, tests: Mapping[str, TestSet]) -> TestSet:
    """One test set of several, each a group under its name."""
    owner = torch.repeat_interleave(torch.arange(len(tests)), torch.tensor([len(test) for test in tests.values()]))
    mine = {name: owner == place for place, name in enumerate(tests)}
    whole = joined(period, list(tests.values()))
    finer = {f"{name}, {group}": rows & where for name, rows in mine.items() for group, where in whole.groups.items()}
    return replace(whole, groups={**mine, **whole.groups, **finer})


def joined(period: int, tests: Sequence[TestSet]) -> TestSet:
    """The questions of all, each with candidates of its own; narrow context is filled up with -1 (ids) or 0."""
    groups = sorted({group for test in tests for group in test.groups})
    candidates = [test.candidates for test in tests if test.candidates is not None]
    return TestSet(
        period,
        torch.cat([test.user for test in tests]),
        torch.cat([test.labels for test in tests]),
        candidates=torch.cat(candidates) if len(candidates) == len(tests) else None,
        groups={group: torch.cat([_members(test, group) for test in tests]) for group in groups},
        context={name: _widened([test.context[name] for test in tests]) for name in tests[0].context},
    )


def _members(test: TestSet, group: str) -> Tensor:
    return test.groups.get(group, torch.zeros(len(test), dtype=torch.bool))


def _widened(columns: Sequence[Tensor]) -> Tensor:
    width = max(column.shape[1] for column in columns)
    fill = 0.0 if columns[0].is_floating_point() else PAD
    return torch.cat([F.pad(column, (0, width - column.shape[1]), value=fill) for column in columns])
