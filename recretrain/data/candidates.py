"""Candidates are drawn once per interaction and kept on disk, so that every method answers the same questions.

Rule (released code of SML, data/dataset2.py): an interaction's candidates are uniform over the items seen so far in the
stream, without repetition, and never an item its user has already had, this interaction included. With `had_too` only
this interaction's own item is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from recretrain.data.counted import distinct, too_few
from recretrain.errors import DataError, UserError
from recretrain.once import made
from recretrain.sealed import reading

Ints = npt.NDArray[np.int64]
Drawn = npt.NDArray[np.int32]
_BLOCK = 64  # rows drawn together: the work table of a block stays in the cache; part of the seed's meaning


def stored_candidates(
    folder: Path,
    period: int,
    count: int,
    seed: int,
    history: Callable[[], History],
    *,
    had_too: bool = False,
) -> Drawn:
    """Candidates of a period's rows, read from `folder` or drawn and kept there.  # [rows, count] int32

    `history` is asked for only if candidates must be drawn, so that a period costs the same however long the stream.
    """
    if brings_candidates(folder, period):
        return _first_columns(_brought(folder, period), count)
    path = folder / f"candidates-{count}-seed{seed}{'-had' * had_too}" / f"period_{period:03d}.npy"

    def draw(out: BinaryIO) -> None:
        np.save(out, draw_candidates(history(), count, np.random.default_rng([seed, period]), had_too=had_too))

    return _mapped(made(path, draw))


def brings_candidates(folder: Path, period: int) -> bool:
    """Whether the source brings the candidates of a period's rows, so that none are drawn."""
    return _brought(folder, period).exists()


def _brought(folder: Path, period: int) -> Path:
    return folder / f"candidates_{period:03d}.npy"


@dataclass(frozen=True)
class History:
    """The rows of a stream up to the end of a period, in order of time."""

    users: Ints
    items: Ints
    start: int  # the row at which the period begins
    parts: Ints | None = None  # of the period's rows, where it is parted: 0 before 1 before 2, and none within


def draw_candidates(history: History, count: int, rng: np.random.Generator, *, had_too: bool = False) -> Drawn:
    """`count` candidates for every row of the period (see the module's rule).  # [N - start, count] int32

    The rows of a parted period have no order: to each, all rows of its own part and of those before are the past. So
    what is drawn for rows to learn from does not depend on those that are to be tested.
    """
    found = _ordered(history)
    users, items, start, until = found.users, found.items, found.start, found.until
    known, arrivals = _known_so_far(items)
    known, had = known[until], _Had(users, items, arrivals)
    drawn: Drawn | None = None  # no table of so many columns before it is known that there are enough items
    for rows in _blocks(start, until):
        row_of, taken = (np.arange(len(rows)), arrivals.rank_of[items[rows]]) if had_too else had.by(rows, until[rows])
        _check_enough(users[rows], known[rows], row_of, taken, count)
        drawn = np.empty((len(users) - start, count), dtype=np.int32) if drawn is None else drawn
        ranks = _draw_block(known[rows], row_of, taken, count, rng)
        drawn[rows - start] = arrivals.item_at[ranks]
    if drawn is None:
        return np.empty((0, count), dtype=np.int32)
    return drawn if history.parts is None else drawn[found.back]


def _blocks(start: int, until: Ints) -> Iterator[Ints]:
    """The rows from `start` on, some at a time, never of two parts: what is drawn for one depends on its block."""
    ends = np.unique(until[start:]) + 1 if (until[start:] != np.arange(start, len(until))).any() else [len(until)]
    for begin, end in pairwise([start, *ends]):
        yield from (np.arange(first, min(first + _BLOCK, end)) for first in range(begin, end, _BLOCK))


class HistoryPast:
    """What was before each row of a period, by a look at all rows up to its end (see `counted.Past`)."""

    def __init__(self, history: History, *, had_too: bool) -> None:
        self._rows = _ordered(history)
        known, self._arrivals = _known_so_far(self._rows.items, history.start)
        self._known = known[self._rows.until]
        self._had = None if had_too else _Had(self._rows.users, self._rows.items, self._arrivals)

    def user(self, rows: Ints) -> Ints:
        return self._rows.users[self._place(rows)]

    def number(self, rows: Ints) -> Ints:
        return self._rows.back[rows]

    def seen(self, rows: Ints) -> Ints:
        return self._known[self._place(rows)]

    def had(self, rows: Ints) -> tuple[Ints, Ints]:
        place = self._place(rows)
        if self._had is None:
            return np.arange(len(rows)), self._arrivals.rank_of[self._rows.items[place]]
        return distinct(*self._had.by(place, self._rows.until[place]))

    def item(self, number: Ints) -> Ints:
        return self._arrivals.item_at[number]

    def _place(self, rows: Ints) -> Ints:
        return self._rows.start + self._rows.back[rows]


@dataclass(frozen=True)
class _Ordered:
    """The rows of a history, those of a parted period by part."""

    users: Ints
    items: Ints
    start: int  # the row at which the period begins
    until: Ints  # the last row that each may know of
    back: Ints  # where each row of the period stands among these, counted from `start`


def _ordered(history: History) -> _Ordered:
    users, items, start = history.users, history.items, history.start
    until, back = np.arange(len(users)), np.arange(len(users) - start)
    if history.parts is not None:
        order = np.argsort(history.parts, kind="stable")
        sizes = np.searchsorted(history.parts[order], history.parts[order], side="right")
        users = np.concatenate([users[:start], users[start:][order]])
        items = np.concatenate([items[:start], items[start:][order]])
        until[start:], back[order] = start + sizes - 1, np.arange(len(order))
    return _Ordered(users, items, start, until, back)


class _Arrivals:
    """Items in order of their first appearance, so that 'seen so far' is a prefix; those of the first rows by id."""

    def __init__(self, items: Ints, first_rows: int = 0) -> None:
        distinct, first = np.unique(items, return_index=True)
        first[first < first_rows] = -1
        by_time = np.argsort(first, kind="stable")
        self.item_at = distinct[by_time]  # arrival rank -> item
        self.first_row = first[by_time]  # arrival rank -> row of first appearance
        self.rank_of = np.empty(int(distinct[-1]) + 1, dtype=np.int64)  # item -> arrival rank
        self.rank_of[self.item_at] = np.arange(len(distinct))


def _known_so_far(items: Ints, first_rows: int = 0) -> tuple[Ints, _Arrivals]:
    order = _Arrivals(items, first_rows)
    return np.searchsorted(order.first_row, np.arange(len(items)), side="right"), order


class _Had:
    """The items that a user has had up to and including a row, for many rows at once."""

    def __init__(self, users: Ints, items: Ints, order: _Arrivals) -> None:
        self._n = len(users)
        by_user = np.argsort(users, kind="stable")
        self._key = users[by_user] * self._n + by_user  # ascending: by user, then by row
        self._rank = order.rank_of[items[by_user]]
        self._users = users

    def by(self, rows: Ints, until: Ints) -> tuple[Ints, Ints]:
        """(position in `rows`, arrival rank) of each pair that the user of a row has had up to the row `until`."""
        first = np.searchsorted(self._key, self._users[rows] * self._n)
        last = np.searchsorted(self._key, self._users[rows] * self._n + until, side="right")
        length = last - first
        row_of = np.repeat(np.arange(len(rows)), length)
        within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
        return row_of, self._rank[first[row_of] + within]


def _check_enough(users: Ints, known: Ints, row_of: Ints, taken: Ints, count: int) -> None:
    width = int(known.max())
    had = np.bincount(np.unique(row_of * width + taken) // width, minlength=len(users))
    short = np.flatnonzero(known - had < count)
    if len(short):
        row = short[0]
        raise UserError(
            int(users[row]),
            too_few(int(had[row]), int(known[row]), count),
        )


def _draw_block(known: Ints, row_of: Ints, taken: Ints, count: int, rng: np.random.Generator) -> Ints:
    if known.max() < 4 * count:
        return _draw_by_shuffling(known, row_of, taken, count, rng)
    return _draw_by_rejection(known, row_of, taken, count, rng)


def _draw_by_shuffling(known: Ints, row_of: Ints, taken: Ints, count: int, rng: np.random.Generator) -> Ints:
    keys = rng.random((len(known), int(known.max())), dtype=np.float32)
    keys[np.arange(keys.shape[1]) >= known[:, None]] = 2.0
    keys[row_of, taken] = 2.0
    if count == keys.shape[1]:
        return np.argsort(keys, axis=1)
    return np.argpartition(keys, count - 1, axis=1)[:, :count]


def _draw_by_rejection(known: Ints, row_of: Ints, taken: Ints, count: int, rng: np.random.Generator) -> Ints:
    owner = np.full((len(known), int(known.max())), -1, dtype=np.int16)  # which column holds this item
    owner[row_of, taken] = -2
    drawn = np.empty((len(known), count), dtype=np.int64)
    row, column = np.divmod(np.arange(drawn.size), count)
    while len(row):
        item = rng.integers(known[row])
        free = owner[row, item] == -1
        owner[row[free], item[free]] = column[free]  # of two columns with one item, one wins
        won = free & (owner[row, item] == column)
        drawn[row[won], column[won]] = item[won]
        row, column = row[~won], column[~won]
    return drawn


def _first_columns(path: Path, count: int) -> Drawn:
    stored = _mapped(path)
    if stored.shape[1] < count:
        raise DataError(
            f"{path} brings {stored.shape[1]} candidates a question, fewer than eval.questions.candidates={count}; "
            f"set eval.questions.candidates={stored.shape[1]} or less"
        )
    return np.asarray(stored[:, :count])


def _mapped(path: Path) -> Drawn:
    with reading(path):
        found: Drawn = np.load(path, mmap_mode="c")
        return found
