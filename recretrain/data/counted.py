"""Candidates by counter: each is a function of seed, period, row and column, so that none are stored.

The rule is that of `candidates`. The items seen so far stand in an order that seed, period and row decide: a
permutation of their numbers, computed place by place (a network of Feistel over two parts of a number). The candidates
are the first items in that order that the user has not had: uniform, never repeated, and any can be made alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recretrain.errors import UserError

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
_BLOCK = 64  # rows of which all candidates are made together: the tables of a block stay in the cache
_COLUMN_BLOCK = 4096  # rows of which one candidate each is made together
_ROUNDS = 8  # of the permutation, each of which alters both parts of a number; fewer are uneven over a few items
_STEP, _FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_ONE, _HALF = np.uint64(1), np.uint64(32)


class Past(Protocol):
    """What was before each row of a period. Items have numbers, those seen up to a row the lowest ones."""

    def user(self, rows: Ints) -> Ints:
        """Whose each row is."""

    def number(self, rows: Ints) -> Ints:
        """A number of each row of its own, whatever rows are tested."""

    def seen(self, rows: Ints) -> Ints:
        """How many items had been seen by each row, its own included."""

    def had(self, rows: Ints) -> tuple[Ints, Ints]:
        """Position in `rows` and number of each item that may not be offered, none twice for a row."""

    def item(self, number: Ints) -> Ints:
        """The items of these numbers."""


def distinct(row_of: Ints, number: Ints) -> tuple[Ints, Ints]:
    """Each pair once, by row."""
    width = int(number.max(initial=0)) + 1
    row, found = np.divmod(np.unique(row_of * width + number), width)
    return row, found


@dataclass(frozen=True)
class Counted:
    """The candidates of some rows of a period, made when they are looked at: `[rows]`, or `[rows, column of each]`."""

    past: Past
    seed: int
    period: int
    count: int  # candidates of a row
    rows: Ints  # of the period, one a question
    device: torch.device

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), self.count

    def at(self, index: Tensor | slice) -> Counted:
        """Those of the questions at these positions, none of them made yet."""
        return replace(self, rows=self.rows[index if isinstance(index, slice) else index.cpu().numpy()])

    def to(self, device: torch.device) -> Counted:
        """The same, to be given on a device."""
        return replace(self, device=device)

    def __getitem__(self, index: Any) -> Tensor:
        """Candidates of rows; of pairs (rows, columns) the one in each row's column.  # [R, C], or [R]; int32

        Raises UserError for a user who has had too many of the items.
        """
        rows, column = index if isinstance(index, tuple) else (index, None)
        asked = self.at(rows).rows
        columns = None if column is None else column.cpu().numpy()
        size = _BLOCK if columns is None else _COLUMN_BLOCK
        made = np.empty((len(asked), self.count) if columns is None else len(asked), dtype=np.int32)
        for start in range(0, len(asked), size):
            some = slice(start, start + size)
            made[some] = self._made(asked[some], None if columns is None else columns[some])
        return torch.from_numpy(made).to(self.device)

    def check(self) -> None:
        """Raise UserError for the first user who has had too many of the items."""
        for start in range(0, len(self), _COLUMN_BLOCK):
            self._taken(self.rows[start : start + _COLUMN_BLOCK])

    def _made(self, rows: Ints, columns: Ints | None) -> Ints:
        """All candidates of rows, or one of each."""
        seen, row_of, taken = self._taken(rows)
        order = _Order.of(seen, _keys(self.seed, self.period, self.past.number(rows)))
        place = order.at(row_of).place_of(taken)
        by_place = np.lexsort((place, row_of))
        row_of, place = row_of[by_place], place[by_place]
        before = np.arange(len(place)) - np.searchsorted(row_of, np.arange(len(rows)))[row_of]
        passed_from = place - before  # the column from which on the item is passed over
        if columns is None:
            passed = _passed(row_of, passed_from, len(rows), self.count)
            return self.past.item(order.at(np.s_[:, None]).number_at(np.arange(self.count) + passed))
        passed = np.bincount(row_of[passed_from <= columns[row_of]], minlength=len(rows))
        return self.past.item(order.number_at(columns + passed))

    def _taken(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """How many items were seen by each row; position and number of each that may not be offered."""
        seen, (row_of, taken) = self.past.seen(rows), self.past.had(rows)
        had = np.bincount(row_of, minlength=len(rows))
        short = np.flatnonzero(seen - had < self.count)
        if len(short):
            row = short[0]
            raise UserError(int(self.past.user(rows)[row]), too_few(int(had[row]), int(seen[row]), self.count))
        return seen, row_of, taken


def too_few(had: int, seen: int, count: int) -> str:
    """What is wrong where a user has had too many items."""
    return (
        f"has had {had} of the {seen} items seen so far, so fewer than eval.questions.candidates={count} can be "
        "offered; lower it, or raise schedule.start to know more items"
    )


def _passed(row_of: Ints, passed_from: Ints, rows: int, count: int) -> Ints:
    """How many taken items are passed over before each column.  # [rows, count]"""
    within = passed_from < count
    found = np.bincount(row_of[within] * count + passed_from[within], minlength=rows * count)
    return found.reshape(rows, count).cumsum(axis=1)


def _keys(seed: int, period: int, number: Ints) -> Words:
    """A key for each row."""
    key = _mixed(np.array([seed], dtype=np.uint64) + _STEP)
    key = _mixed(key + np.uint64(period) + _STEP)
    return _mixed(key + number.astype(np.uint64) * _STEP)


def _mixed(word: Words) -> Words:
    """SplitMix64's last steps, in place: every bit depends on all."""
    word ^= word >> _SHIFTS[0]
    word *= _FIRST
    word ^= word >> _SHIFTS[1]
    word *= _SECOND
    word ^= word >> _SHIFTS[2]
    return word


@dataclass(frozen=True)
class _Order:
    """An order of the numbers 0..size-1 for each key."""

    size: Words
    key: Words
    bits: Words  # of the low part of a number
    high: Words  # how many values the high part has

    @classmethod
    def of(cls, size: Ints, key: Words) -> _Order:
        bits = (np.frexp(size)[1] // 2).astype(np.uint64)
        sizes = size.astype(np.uint64)
        return cls(sizes, key, bits, (sizes + (_ONE << bits) - _ONE) >> bits)

    def at(self, index: Any) -> _Order:
        return _Order(self.size[index], self.key[index], self.bits[index], self.high[index])

    def number_at(self, place: Ints) -> Ints:
        """The number at a place of the order."""
        return self._walked(place, _Order._forth)

    def place_of(self, number: Ints) -> Ints:
        """The place of a number in the order."""
        return self._walked(number, _Order._back)

    def _walked(self, value: Ints, step: Callable[[_Order, Words], Words]) -> Ints:
        """The permutation is one of a few more numbers; it goes on from these until it is back below the size."""
        found = step(self, value.astype(np.uint64))
        while len((outside := np.nonzero(found >= self.size))[0]):
            some = self.at(outside if found.shape == self.size.shape else (outside[0], 0))
            found[outside] = step(some, found[outside])
        return found.astype(np.int64)

    def _forth(self, value: Words) -> Words:
        high, low = self._split(value)
        for number in range(_ROUNDS):
            high += self._below_high(low, 2 * number)
            high -= self.high * (high >= self.high)
            low += self._word(high, 2 * number + 1)
            low &= self._low_bits
        return (high << self.bits) | low

    def _back(self, value: Words) -> Words:
        high, low = self._split(value)
        for number in reversed(range(_ROUNDS)):
            low -= self._word(high, 2 * number + 1)
            low &= self._low_bits
            high += self.high - self._below_high(low, 2 * number)
            high -= self.high * (high >= self.high)
        return (high << self.bits) | low

    def _split(self, value: Words) -> tuple[Words, Words]:
        return value >> self.bits, value & self._low_bits

    @property
    def _low_bits(self) -> Words:
        return (_ONE << self.bits) - _ONE

    def _word(self, part: Words, step: int) -> Words:
        return _mixed(part ^ (self.key + np.uint64(step * int(_STEP) % 2**64)))

    def _below_high(self, part: Words, step: int) -> Words:
        """A word brought down to 0..high-1."""
        word = self._word(part, step)
        word >>= _HALF
        word *= self.high
        word >>= _HALF
        return word
