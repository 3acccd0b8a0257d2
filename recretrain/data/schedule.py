"""A schedule turns a stream into tasks: what is learned when, and which questions are answered after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, Protocol

import torch

from recretrain.data.documents import Texts, joined_texts
from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.kinds import TestSet, joined, stacked
from recretrain.data.stream import OnRead, Past, Period, Rows, Stream
from recretrain.errors import ConfigError, DataError
from recretrain.values import AtLeast0, AtLeast1, NotEmpty

Tests = Mapping[str, TestSet]  # by role: choosing or test


@dataclass(frozen=True)
class Task:
    """One beat of a run: answer `first`, learn `period`, with `past` at hand, then answer `tests`.

    `again` are the test questions of earlier tasks of the run, answered once more to see what was forgotten.
    """

    index: int
    period: Period
    past: Sequence[Period]
    tests: Callable[[], Tests]  # called after the update, by the runner alone, as is the next
    again: Callable[[], Sequence[TestSet]] = tuple
    first: Callable[[], Tests] = dict  # called before the update, by the runner alone


class Schedule(Protocol):
    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        """The tasks in order, each made when its turn comes; every row that a task reads is reported to `on_read`."""

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        """Which periods are answered as `choosing` (of hyper-parameters) and which as `test`."""


class NextPeriod:
    """Learn period t, answer period t + 1 (sml.md, a; periods are counted from 0).

    The first task is the warm-up block: all periods before `start` at once (`warm_up="start"`), all but the last of
    those before `first_test` (`"tests"`: the released baselines' pre-training), or as many as a number says.
    Periods from `first_test` on are answered, the first `choosing` of them only to choose hyper-parameters. After each
    task the newest `again` of the tested periods that have been learned are answered once more: what is forgotten.
    """

    def __init__(
        self,
        *,
        start: AtLeast0,
        first_test: AtLeast1,
        choosing: AtLeast0,
        warm_up: Literal["start", "tests"] | AtLeast1,
        last_test: AtLeast0 | None,
        again: AtLeast0,
    ) -> None:
        self.start = start
        self.first_test = first_test
        self.choosing = choosing
        self.warm_up = warm_up
        self.last_test = last_test
        self.again = again
        named = {"start": start, "tests": first_test - 1}
        self._block = warm_up if isinstance(warm_up, int) else named[warm_up]
        self._check()

    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        last = self._last(stream)
        return [
            self._maker(stream, on_read, index, learned) for index, learned in enumerate(range(self._block - 1, last))
        ]

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        answered = range(self.first_test, self._last(stream) + 1)
        return {
            "choosing": with_rows(stream, answered[: self.choosing]),
            "test": with_rows(stream, answered[self.choosing :]),
        }

    def _maker(self, stream: Stream, on_read: OnRead, index: int, learned: int) -> Callable[[], Task]:
        def make() -> Task:
            period: Period
            if index == 0:
                period, past = Block(stream, self._block, on_read), Past([])
            else:
                period, past = stream[learned].watched(on_read), before(stream, learned, on_read)
            return Task(
                index, period, past, lambda: self._tests(stream, learned + 1), lambda: self._learned(stream, learned)
            )

        return make

    def _learned(self, stream: Stream, last: int) -> list[TestSet]:
        """The questions of the tested periods up to `last` that are asked again, the oldest first."""
        tested = with_rows(stream, range(self.first_test + self.choosing, last + 1))
        return [stream.questions(period) for period in tested[max(0, len(tested) - self.again) :]]

    def _tests(self, stream: Stream, period: int) -> Tests:
        if period < self.first_test or stream.is_empty(period):
            return {}
        role = "choosing" if period < self.first_test + self.choosing else "test"
        return {role: stream.questions(period)}

    def _last(self, stream: Stream) -> int:
        """The last period that is answered."""
        end = len(stream) - 1
        if self.first_test > end:
            raise DataError(
                f"schedule.first_test={self.first_test} but {stream.name} has periods 0..{end}; "
                "lower schedule.first_test or cut the data into more periods"
            )
        check_choosing(stream, self.choosing, "first_test", self.first_test)
        if self.last_test is not None and self.last_test > end:
            raise DataError(
                f"schedule.last_test={self.last_test} but {stream.name} has periods 0..{end}; lower it, or leave it out"
            )
        return end if self.last_test is None else self.last_test

    def _check(self) -> None:
        if not 1 <= self._block <= self.first_test:
            raise ConfigError(
                f"the warm-up block of {self._block} periods must hold at least one and end before "
                f"schedule.first_test={self.first_test}; change schedule.warm_up or schedule.start"
            )
        if self.last_test is not None and self.last_test < self.first_test:
            raise ConfigError(
                f"schedule.last_test={self.last_test} ends the run before schedule.first_test={self.first_test}; "
                "raise it"
            )


class Block(Period):
    """The first periods of a stream as one.

    `parts` are those with rows. They report what is read of them, so that no row counts twice.
    """

    def __init__(self, stream: Stream, periods: int, on_read: OnRead | None = None) -> None:
        self._stream, self._periods = stream, periods
        self.parts = before(stream, periods, on_read)
        super().__init__(periods - 1, f"{stream[0].name}..{stream[periods - 1].name}", _Joined(self.parts, periods - 1))

    def watched(self, on_read: OnRead) -> Block:
        return Block(self._stream, self._periods, on_read)


class _Joined(Rows):
    """The rows of several periods, read through them."""

    def __init__(self, parts: Sequence[Period], last: int) -> None:
        self._parts = parts
        self._last = last  # index of the period that ends them

    def interactions(self) -> Interactions:
        return concatenate([part.train for part in self._parts])

    def questions(self) -> TestSet:
        return joined(self._last, [part.questions for part in self._parts])

    def known(self) -> Interactions:
        return concatenate([part.known for part in self._parts])

    def valid(self) -> TestSet | None:
        asked = [test for part in self._parts if (test := part.valid) is not None]
        return joined(self._last, asked) if asked else None

    def context(self) -> Interactions:
        return concatenate([part.context for part in self._parts])

    def texts(self) -> Texts:
        return joined_texts([part.texts for part in self._parts])


class OwnTests:
    """Every period has tests of its own: learn it, then answer them.

    The rows of such a period are parted into `train`, `valid` and `test` (`Stream.interactions`); valid questions are
    answered as `choosing`, test questions as `test`, and each is also a group under its period's name. So a downstream
    task of a pre-trained model is a period, as is the target domain of a transfer.

    With `learned` the periods are states of one time, such as old and new users, that are not parted: that one is
    learned, and the questions of all of them are one test set, each state a group. The figures of the learned state
    are training errors: its questions are among what is learned from (melu.md, a).
    """

    def __init__(self, *, learned: AtLeast0 | None) -> None:
        self.learned = learned

    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        self._check(stream)
        if self.learned is not None:
            return [lambda: self._one_of(stream, on_read)]
        return [self._maker(stream, on_read, period) for period in range(len(stream))]

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        if self.learned is not None:
            return {"choosing": [], "test": [self.learned]}
        return {role: self._with(stream, part) for role, part in _ROLES.items()}

    def _maker(self, stream: Stream, on_read: OnRead, period: int) -> Callable[[], Task]:
        def make() -> Task:
            past = before(stream, period, on_read)
            return Task(period, stream[period].watched(on_read), past, lambda: self._tests(stream, period))

        return make

    def _tests(self, stream: Stream, period: int, roles: Sequence[str] = ("choosing", "test")) -> Tests:
        given = {role: _ROLES[role] for role in roles if stream.has_part(period, _ROLES[role])}
        asked = {role: stream.questions(period, part) for role, part in given.items()}
        return {role: _grouped(test, stream[period].name) for role, test in asked.items() if len(test)}

    def _one_of(self, stream: Stream, on_read: OnRead) -> Task:
        assert self.learned is not None
        learned = self.learned

        def tests() -> Tests:
            states = range(len(stream))
            return {"test": stacked(learned, {stream[state].name: stream.questions(state) for state in states})}

        return Task(0, stream[learned].watched(on_read), Past([]), tests)

    def _check(self, stream: Stream) -> None:
        if self.learned is not None:
            if self.learned >= len(stream):
                raise DataError(f"schedule.learned={self.learned} but {stream.name} has states 0..{len(stream) - 1}")
        elif not self._with(stream, "test"):
            raise DataError(
                f"no period of {stream.name} has rows of the part test; these data have no tests of their own: "
                "use schedule=next_period"
            )

    @staticmethod
    def _with(stream: Stream, part: str) -> list[int]:
        """The periods that have rows of a part."""
        return [period for period in range(len(stream)) if stream.has_part(period, part)]


class Downstream(OwnTests):
    """Period 0 is the source, whatever comes after it a downstream task of its own (peterrec.md, k).

    After each task the test questions of all downstream tasks learned before are answered again: a lower-triangular
    matrix, which tells what is forgotten.
    """

    def __init__(self, *, order: Annotated[Sequence[str], NotEmpty()] | None) -> None:
        """`order`: names of downstream periods, which are learned in this order and no others; None: all, as given."""
        super().__init__(learned=None)
        if order is not None and len(set(order)) < len(order):
            raise ConfigError(f"schedule.order={list(order)} names a task twice; name each of them once")
        self.order = order

    def tasks(self, stream: Stream, on_read: OnRead) -> Sequence[Callable[[], Task]]:
        self._check(stream)
        learned = self._learned(stream)
        return [self._beat(stream, on_read, learned[: place + 1]) for place in range(len(learned))]

    def roles(self, stream: Stream) -> Mapping[str, Sequence[int]]:
        learned = set(self._learned(stream))
        return {role: [one for one in periods if one in learned] for role, periods in super().roles(stream).items()}

    def _beat(self, stream: Stream, on_read: OnRead, learned: Sequence[int]) -> Callable[[], Task]:
        """The task that learns the last of these periods."""
        *earlier, period = learned

        def make() -> Task:
            past = Past([lambda p=p: stream[p].watched(on_read) for p in earlier])  # type: ignore[misc]
            return Task(
                len(earlier),
                stream[period].watched(on_read),
                past,
                lambda: self._tests(stream, period),
                lambda: [test for one in earlier[1:] for test in self._tests(stream, one, ["test"]).values()],
            )

        return make

    def _learned(self, stream: Stream) -> list[int]:
        """The periods in the order in which they are learned, the source first."""
        known = {stream[period].name: period for period in range(1, len(stream))}
        if self.order is None:
            return [0, *known.values()]
        if unknown := [name for name in self.order if name not in known]:
            raise DataError(f"schedule.order: {stream.name} has no task {unknown[0]!r}; it has {', '.join(known)}")
        return [0, *(known[name] for name in self.order)]


_ROLES = {"choosing": "valid", "test": "test"}  # what a part of a period is asked as


def before(stream: Stream, period: int, on_read: OnRead | None) -> Past:
    """The periods with rows before this one, each read when it is looked at."""

    def one(p: int) -> Period:
        return stream[p] if on_read is None else stream[p].watched(on_read)

    return Past([partial(one, p) for p in with_rows(stream, range(period))])


def check_choosing(stream: Stream, choosing: int, key: str, since: int) -> None:
    """Raise DataError for more choosing periods than there are; as many are well, since others may come.

    `since`: the first period that is asked, and `key` the one of the schedule that says so.
    """
    if choosing > (there := len(stream) - since):
        raise DataError(
            f"schedule.choosing={choosing}, but there are {there} periods from schedule.{key}={since} to the last one "
            f"of {stream.name}; lower it, or cut the data into more periods"
        )


def with_rows(stream: Stream, periods: Sequence[int]) -> list[int]:
    """Those of the periods that have rows."""
    return [period for period in periods if not stream.is_empty(period)]


def _grouped(test: TestSet, name: str) -> TestSet:
    """The same questions, all of them also a group of that name."""
    return replace(test, groups={name: torch.ones(len(test), dtype=torch.bool), **test.groups})
