"""The rows of a stream by user and then in order, so that what a user had before costs no look at others' rows."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recretrain.data.counted import distinct
from recretrain.data.interactions import Interactions, Ragged
from recretrain.data.stream import Stream
from recretrain.once import made
from recretrain.sealed import reading

Ints = npt.NDArray[np.int64]
_FOLDER = "by_user"  # of a prepared folder


class RowsByUser:
    """All rows of a stream whose periods have neither parts nor spaces, sorted once and kept beside its periods."""

    def __init__(self, stream: Stream) -> None:
        sizes = [int(period["rows"]) for period in stream.card["periods"]]
        self._starts = np.concatenate([[0], np.cumsum(sizes)])  # of each period, in rows of the stream
        self._stream = stream
        self._sorted: tuple[Ints, Ints] | None = None  # while the files are written
        self._offsets = self._kept("offsets.npy", 0)  # [n_users + 1] where each user's rows begin
        self._rows = self._kept("rows.npy", 1)  # [N, 2] number in the stream and item
        self._sorted = None

    def start(self, period: int) -> int:
        """The number of a period's first row."""
        return int(self._starts[period])

    def before(self, user: Ints, stop: Ints) -> tuple[Ints, Ints]:
        """The items of each user in rows below a number, in order: the place in `user` of each, and the item."""
        first, last = self._offsets[user], self._offsets[user + 1]
        length = self._bisected(first.copy(), last, stop) - first
        place = np.repeat(np.arange(len(user)), length)
        within = np.arange(len(place)) - np.repeat(np.cumsum(length) - length, length)
        return place, self._rows[first[place] + within, 1].astype(np.int64)

    def _bisected(self, low: Ints, high: Ints, stop: Ints) -> Ints:
        """The first place from `low` to `high` whose row is not below `stop`."""
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            below = self._rows[middle, 0] < stop[open_]
            low[open_] = np.where(below, middle + 1, low[open_])
            high[open_] = np.where(below, high[open_], middle)
        return low

    def _kept(self, name: str, which: int) -> Ints:
        def write(out: BinaryIO) -> None:
            if self._sorted is None:
                self._sorted = _sorted_rows(self._stream)
            np.save(out, self._sorted[which])

        return _mapped(made(self._stream.folder / _FOLDER / name, write))


class PlainPast:
    """What was before each row of a period of a plain stream, with ids in the order in which items appeared.

    See `counted.Past`.
    """

    def __init__(self, rows: RowsByUser, asked: Interactions, period: int, seen_before: int, *, had_too: bool) -> None:
        self._by_user = rows
        self._start = rows.start(period)
        self._users, self._items = asked.user.numpy(), asked.item.numpy()
        self._seen: Ints = np.maximum(np.maximum.accumulate(self._items) + 1, seen_before)
        self._had_too = had_too

    def user(self, rows: Ints) -> Ints:
        return self._users[rows]

    def number(self, rows: Ints) -> Ints:
        return rows

    def seen(self, rows: Ints) -> Ints:
        return self._seen[rows]

    def had(self, rows: Ints) -> tuple[Ints, Ints]:
        if self._had_too:
            return np.arange(len(rows)), self._items[rows]
        return distinct(*self._by_user.before(self._users[rows], self._start + rows + 1))

    def item(self, number: Ints) -> Ints:
        return number


def rows_by_user(stream: Stream) -> RowsByUser | None:
    """The rows of a stream by user; None where periods are parted or of several spaces, so that less is the past."""
    return RowsByUser(stream) if stream.is_plain else None


def items_before(rows: RowsByUser, user: Tensor, period: int) -> Ragged:
    """The items of each user in all earlier periods, in order."""
    asked = user.numpy()
    place, item = rows.before(asked, np.full(len(asked), rows.start(period)))
    length = torch.bincount(torch.from_numpy(place), minlength=len(asked))
    return Ragged(torch.cat([length.new_zeros(1), length.cumsum(0)]), torch.from_numpy(item))


def _sorted_rows(stream: Stream) -> tuple[Ints, Ints]:
    """Where each user's rows begin, and number and item of each row.  # [n_users + 1], [N, 2] int32 or int64"""
    periods: list[Interactions] = [stream.interactions(period) for period in range(len(stream))]
    user = torch.cat([rows.user for rows in periods]).numpy()
    item = torch.cat([rows.item for rows in periods]).numpy()
    order = np.argsort(user, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=stream.n_users))])
    kind = np.int32 if len(user) < 2**31 else np.int64
    return offsets, np.stack([order, item[order]], axis=1).astype(kind)


def _mapped(path: Path) -> Ints:
    with reading(path):
        found: Ints = np.load(path, mmap_mode="r")
        return found
