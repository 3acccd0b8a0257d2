"""A stream is the ordered periods of a prepared folder; nothing is read before a method asks for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from recretrain.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Interactions:
    """A columnar table, one row an interaction, in the order it happened."""

    user: Tensor  # [N] int64
    item: Tensor  # [N] int64
    other: Mapping[str, Tensor] = field(default_factory=dict)  # time (unix seconds), rating, ...: [N] each

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, index: Tensor | slice) -> Interactions:
        return Interactions(self.user[index], self.item[index], {k: v[index] for k, v in self.other.items()})

    def to(self, device: torch.device | str) -> Interactions:
        return Interactions(
            self.user.to(device), self.item.to(device), {k: v.to(device) for k, v in self.other.items()}
        )


def concatenate(parts: Sequence[Interactions]) -> Interactions:
    """The rows of all parts, in order; columns that not every part has are left out."""
    if not parts:
        raise ValueError("no periods to join")
    shared = set(parts[0].other).intersection(*(p.other for p in parts))
    return Interactions(
        torch.cat([p.user for p in parts]),
        torch.cat([p.item for p in parts]),
        {k: torch.cat([p.other[k] for p in parts]) for k in sorted(shared)},
    )


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length: row q is `values[offsets[q]:offsets[q + 1]]`."""

    offsets: Tensor  # [Q + 1] int64
    values: Tensor  # [offsets[-1]]

    def rows(self, start: int, stop: int) -> Ragged:
        first, last = self.offsets[start], self.offsets[stop]
        return Ragged(self.offsets[start : stop + 1] - first, self.values[first:last])

    def row_of_value(self) -> Tensor:
        """The row each value belongs to.  # [len(values)]"""
        return torch.repeat_interleave(torch.diff(self.offsets), output_size=len(self.values))


@dataclass(frozen=True)
class TestSet:
    """Questions about one period: which item, of those offered, will this user take next?"""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    period: int  # index of the period the questions come from
    user: Tensor  # [Q] int64
    labels: Tensor  # [Q] int64, the item taken
    candidates: Tensor | None = None  # [Q, C] int32, the items to rank the label against (without it)
    catalogue: Tensor | None = None  # [I] int64, every item known by then; ranked in place of `candidates` if given
    seen: Ragged | None = None  # [Q] items the user already had; never ranked against the label
    groups: Mapping[str, Tensor] = field(default_factory=dict)  # name -> [Q] bool, reported apart
    context: Mapping[str, Tensor] = field(default_factory=dict)  # [Q, ...] what else a method may look at

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True)
class Questions:
    """What a method sees of a chunk of a test set: never the labels."""

    user: Tensor  # [B]
    candidates: Tensor | None  # [B, C], the label among them; None = score `catalogue`
    catalogue: Tensor | None  # [I]
    context: Mapping[str, Tensor] = field(default_factory=dict)


class Period:
    """One slice of the stream. Rows are read at the first look, and every look is told to `on_read`."""

    def __init__(
        self,
        index: int,
        name: str,
        read: Callable[[], Interactions],
        questions: Callable[[], Mapping[str, TestSet]] = dict,
        on_read: Callable[[str, int], None] | None = None,
    ) -> None:
        self.index = index
        self.name = name
        self._read = read
        self._questions = questions
        self._on_read = on_read

    @cached_property
    def train(self) -> Interactions:
        rows = self._read()
        self._tell(f"{self.name}/rows", len(rows))
        return rows

    @cached_property
    def own(self) -> Mapping[str, TestSet]:
        """The period's interactions as questions, with their stored candidates."""
        tests = self._questions()
        for test in tests.values():
            self._tell(f"{self.name}/rows", len(test))
        return tests

    def watched(self, on_read: Callable[[str, int], None]) -> Period:
        """The same slice, unread, that reports what is read of it."""
        return Period(self.index, self.name, self._read, self._questions, on_read)

    def _tell(self, what: str, rows: int) -> None:
        if self._on_read is not None:
            self._on_read(what, rows)


class Past(Sequence[Period]):
    """Earlier periods, each read when it is looked at and dropped when it is let go."""

    def __init__(self, periods: Sequence[Callable[[], Period]]) -> None:
        self._periods = list(periods)

    def __len__(self) -> int:
        return len(self._periods)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Past(self._periods[index])
        return self._periods[index]()

    def __iter__(self) -> Iterator[Period]:
        return (make() for make in self._periods)


Asked = Callable[["Stream", int], TestSet]  # makes the questions about a period (data.questions)


class Stream:
    """The periods of a prepared folder (layout: docs/contracts.md) and their vocabulary.

    Ids are fixed for the whole stream; `known_items(t)` says which had appeared by the end of period t.
    """

    def __init__(self, folder: Path, asked: Asked) -> None:
        self.folder = Path(folder)
        self.card: dict[str, Any] = json.loads((self.folder / "stream.json").read_text())
        self.asked = asked
        self.n_users: int = self.card["n_users"]
        self.n_items: int = self.card["n_items"]
        self.user_first = _first_period(self.folder / "users.parquet")  # [n_users]
        self.item_first = _first_period(self.folder / "items.parquet")  # [n_items]

    @property
    def name(self) -> str:
        return str(self.card["name"])

    @property
    def synthetic(self) -> bool:
        return bool(self.card["source"] == "synthetic")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """All that a backbone may know of the users and items of the stream."""
        return Vocabulary.read(self.folder)

    def __len__(self) -> int:
        return len(self.card["periods"])

    def __getitem__(self, index: int) -> Period:
        if not 0 <= index < len(self):
            raise IndexError(f"period {index} of a stream of {len(self)}")
        name = str(self.card["periods"][index]["name"])
        return Period(index, name, lambda: self.interactions(index), lambda: {"arrivals": self.questions(index)})

    def known_items(self, period: int) -> Tensor:
        """Ids of the items that had appeared by the end of `period`.  # [I] int64, ascending"""
        return torch.nonzero(self.item_first <= period).squeeze(1)

    def interactions(self, period: int) -> Interactions:
        table = pq.read_table(self.folder / f"period_{period:03d}.parquet")
        columns = {n: torch.from_numpy(table.column(n).to_numpy().copy()) for n in table.column_names}
        return Interactions(columns.pop("user"), columns.pop("item"), columns)

    def questions(self, period: int) -> TestSet:
        """What is asked of `period`."""
        return self.asked(self, period)


def _first_period(path: Path) -> Tensor:
    table = pq.read_table(path, columns=["id", "first_period"])
    ids = table.column("id").to_numpy()
    if not np.array_equal(ids, np.arange(len(ids))):
        raise ValueError(f"{path}: ids are not 0..n-1; delete the folder and prepare the data again")
    return torch.from_numpy(table.column("first_period").to_numpy().astype(np.int64))
