"""A stream is the ordered periods of a prepared folder; nothing is read before a method asks for it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from recretrain.data.documents import Texts, read_tokens
from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.kinds import TestSet
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import DataError
from recretrain.sealed import reading

PARTS = ("train", "valid", "test", "context")  # by their numbers in the column `part`
_PAST = ("context", "train")  # parts of a period that are known before its questions are asked

OnRead = Callable[[str, int], None]  # called with what was read and how many rows of it


class Asks(Protocol):
    """Makes the questions about a period (`data.questions` has those that ship)."""

    @property
    def kind(self) -> type[TestSet]:
        """The class of the test sets it makes."""

    def card(self) -> dict[str, Any]:
        """`kind`, `text` (what is ranked or rated) and `unit` for tables, and all that makes two sets comparable."""

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> TestSet:
        """The questions about `period`, or about its rows of one part (`Stream.interactions`)."""


@runtime_checkable
class Foresees(Protocol):
    """Questions that know beforehand whether they can be asked."""

    def check(self, stream: Stream, periods: Sequence[int]) -> None:
        """Raise DataError if those about one of `periods`, which ascend, cannot be made."""


class Period:
    """One slice of the stream. Rows are read at the first look, and every look is reported to `on_read`."""

    parts: Sequence[Period] = ()  # the single periods, in order, of one that is made of several (`schedule.Block`)

    def __init__(self, index: int, name: str, rows: Rows, on_read: OnRead | None = None) -> None:
        self.index = index
        self.name = name
        self._rows = rows
        self._on_read = on_read

    @cached_property
    def train(self) -> Interactions:
        """The rows to learn from: those of its part `train`, where the data part their periods."""
        rows = self._rows.interactions()
        self._report(f"{self.name}/rows", len(rows))
        return rows

    @cached_property
    def questions(self) -> TestSet:
        """The rows to learn from as questions, with their stored candidates."""
        asked = self._rows.questions()
        self._report(f"{self.name}/rows", len(asked))
        return asked

    @cached_property
    def valid(self) -> TestSet | None:
        """The questions of the part `valid`; None where the data have none. Never those of the part `test`."""
        asked = self._rows.valid()
        if asked is not None:
            self._report(f"{self.name}/valid", len(asked))
        return asked

    @cached_property
    def context(self) -> Interactions:
        """The rows that are given beside those to learn from, such as those of another domain; never its tests."""
        rows = self._rows.context()
        self._report(f"{self.name}/context", len(rows))
        return rows

    @cached_property
    def known(self) -> Interactions:
        """The rows that later periods may build on: those given, to learn from and to choose by; never its tests."""
        rows = self._rows.known()
        self._report(f"{self.name}/known", len(rows))
        return rows

    @cached_property
    def texts(self) -> Texts:
        """The texts of `context` and `train`, in the order of the file: what a question's text says is its answer.

        Raises DataError where the data have no texts.
        """
        texts = self._rows.texts()
        self._report(f"{self.name}/texts", len(texts.rows))
        return texts

    @property
    def empty(self) -> bool:
        """Whether it has no rows at all: then nothing is learned of it and nothing is asked about it."""
        return self._rows.empty

    def watched(self, on_read: OnRead) -> Period:
        """The same slice, unread, that reports to `on_read`."""
        return Period(self.index, self.name, self._rows, on_read)

    def _report(self, what: str, rows: int) -> None:
        if self._on_read is not None:
            self._on_read(what, rows)


class Rows(ABC):
    """Reads the rows of a period."""

    @property
    def empty(self) -> bool:
        """Whether there are none."""
        return False

    @abstractmethod
    def interactions(self) -> Interactions: ...

    @abstractmethod
    def questions(self) -> TestSet: ...

    def known(self) -> Interactions:
        return concatenate([self.context(), self.interactions()])

    def valid(self) -> TestSet | None:
        return None

    def context(self) -> Interactions:
        nobody = torch.zeros(0, dtype=torch.long)
        return Interactions(nobody, nobody)

    def texts(self) -> Texts:
        raise DataError("these data have no texts; use data with reviews")


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


class Stream:
    """The periods of a prepared folder (layout: docs/contracts.md) and their vocabulary.

    Ids are fixed for the whole stream; `known_items(t)` says which had appeared by the end of period t.
    """

    def __init__(self, folder: Path, asks: Asks) -> None:
        self.folder = Path(folder)
        with reading(self.folder / "stream.json") as file:
            self.card: dict[str, Any] = json.loads(file.read_text())
        self.asks = asks
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

    def is_empty(self, period: int) -> bool:
        """Whether a period has no rows (data.cut.empty=keep)."""
        return bool(self.card["periods"][period]["rows"] == 0)

    def __getitem__(self, index: int) -> Period:
        if not 0 <= index < len(self):
            raise IndexError(f"period {index} of a stream of {len(self)}")
        return Period(index, str(self.card["periods"][index]["name"]), _Slice(self, index))

    @property
    def spaces(self) -> Sequence[str]:
        """The names of the vocabularies that items belong to; one for most data."""
        return self.vocabulary.spaces

    def space(self, period: int) -> int:
        """The space of the items that `period` is about."""
        return int(self.card["periods"][period].get("space", 0))

    def space_named(self, name: str) -> int:
        if name not in self.spaces:
            raise DataError(f"{self.name} has no items of the space {name!r}; it has {', '.join(self.spaces)}")
        return self.spaces.index(name)

    def known_items(self, period: int) -> Tensor:
        """Ids of the items of the period's space that had appeared by its end.  # [I] int64, ascending"""
        of_space = self.vocabulary.item_space == self.space(period)
        return torch.nonzero((self.item_first <= period) & of_space).squeeze(1)

    def items_before(self, period: int) -> int:
        """How many items of the period's space had appeared before it."""
        of_space = self.vocabulary.item_space == self.space(period)
        return int(((self.item_first < period) & of_space).sum())

    def rows_of_users(self, period: int) -> Tensor:
        """How many rows each user has in the file of a period.  # [n_users]"""
        users = self._table(period, "user").column("user").to_numpy()
        return torch.bincount(torch.from_numpy(users.copy()), minlength=self.n_users)

    def has_parts(self, period: int) -> bool:
        """Whether the rows of `period` are parted into train, valid and test."""
        with reading(self._file(period)) as file:
            return "part" in pq.read_schema(file).names

    @cached_property
    def is_plain(self) -> bool:
        """Whether no period is parted and all items are of one space: then all rows before a period are its past."""
        return len(self.spaces) == 1 and not any(map(self.has_parts, range(len(self))))

    def has_part(self, period: int, part: str) -> bool:
        """Whether `period` is parted and has rows of this part."""
        return self.has_parts(period) and bool((self.parts(period) == PARTS.index(part)).any())

    def interactions(self, period: int, part: str | None = None) -> Interactions:
        """The rows of one part; by default all but `context`.

        Where a period is not parted all of its rows are both to be learned from and to be asked: `train` gives them
        all, `valid`, `test` and `context` none.
        """
        rows, parts = self._rows(period)
        if parts is None:
            return rows if part in (None, "train") else rows.rows(slice(0, 0))
        return rows.rows(parts != PARTS.index("context") if part is None else parts == PARTS.index(part))

    def positions(self, period: int, part: str | None) -> Tensor | slice:
        """Where the rows of one part stand among `interactions(period)`."""
        if not self.has_parts(period):
            return slice(None) if part in (None, "train") else slice(0, 0)
        return slice(None) if part is None else torch.nonzero(self.parts(period) == PARTS.index(part)).squeeze(1)

    def parts(self, period: int) -> Tensor:
        """The part of each row of `interactions(period)`, by its number in `PARTS`, where it is parted.  # [N] int8"""
        column = self._table(period, "part").column("part").to_numpy()
        return torch.from_numpy(column[column != PARTS.index("context")])

    def before(self, period: int, space: int, *, context: bool = True) -> Interactions:
        """The rows about items of `space` in all earlier periods but their tests; with `context`, those that are given
        for `period` too.
        """
        parts = [rows for earlier in range(period) for rows in self._read(earlier, context)]
        if context and self.has_parts(period):
            parts.append(self.interactions(period, "context"))
        if not parts:
            return Interactions(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
        return self.of_space(concatenate(parts), space)

    def of_space(self, rows: Interactions, space: int) -> Interactions:
        """Those of the rows that are about items of `space`."""
        return rows if len(self.spaces) == 1 else rows.rows(self.vocabulary.item_space[rows.item] == space)

    def known(self, period: int) -> Interactions:
        """The rows of a period that a later one may build on: all but its tests."""
        return concatenate(self._read(period, context=True))

    def texts(self, period: int) -> Texts:
        """The texts of a period's rows but those of its valid and test parts, in the order of the file."""
        (rows, parts), tokens = self._rows(period), read_tokens(self.folder, period)
        if len(tokens) != len(rows):
            raise DataError(f"texts of {len(tokens)} rows beside {len(rows)} interactions; prepare the data again")
        if parts is None:
            return Texts(rows, tokens)
        given = torch.tensor([PARTS.index(part) for part in _PAST])
        kept = torch.nonzero(torch.isin(parts, given)).squeeze(1)
        return Texts(rows.rows(kept), tokens.at(kept))

    def questions(self, period: int, part: str | None = None) -> TestSet:
        """The questions about `period`, or about its rows of one part."""
        return self.asks(self, period, part)

    def _read(self, period: int, context: bool) -> list[Interactions]:
        """The rows of an earlier period that a later one may build on: never its test part."""
        if not self.has_parts(period):
            return [self.interactions(period)]
        return [self.interactions(period, part) for part in (*(_PAST if context else _PAST[1:]), "valid")]

    def _rows(self, period: int) -> tuple[Interactions, Tensor | None]:
        """All rows of the file, and the part of each by its number where they are parted."""
        table = self._table(period)
        columns = {n: torch.from_numpy(table.column(n).to_numpy().copy()) for n in table.column_names}
        parts = columns.pop("part", None)
        return Interactions(columns.pop("user"), columns.pop("item"), columns), parts

    def _table(self, period: int, *columns: str) -> pa.Table:
        """The rows of a file, by default with all its columns."""
        with reading(self._file(period)) as file:
            return pq.read_table(file, columns=list(columns) or None)

    def _file(self, period: int) -> Path:
        return self.folder / f"period_{period:03d}.parquet"


class _Slice(Rows):
    """The rows of one period of a stream."""

    def __init__(self, stream: Stream, period: int) -> None:
        self._stream = stream
        self._period = period

    @property
    def empty(self) -> bool:
        return self._stream.is_empty(self._period)

    def interactions(self) -> Interactions:
        return self._stream.interactions(self._period, "train")

    def questions(self) -> TestSet:
        return self._stream.questions(self._period, "train")

    def known(self) -> Interactions:
        return self._stream.known(self._period)

    def valid(self) -> TestSet | None:
        given = self._stream.has_part(self._period, "valid")
        return self._stream.questions(self._period, "valid") if given else None

    def context(self) -> Interactions:
        return self._stream.interactions(self._period, "context")

    def texts(self) -> Texts:
        return self._stream.texts(self._period)


def _first_period(path: Path) -> Tensor:
    with reading(path):
        table = pq.read_table(path, columns=["id", "first_period"])
    ids = table.column("id").to_numpy()
    if not np.array_equal(ids, np.arange(len(ids))):
        raise DataError(f"{path}: ids are not 0..n-1; delete the folder and prepare the data again")
    return torch.from_numpy(table.column("first_period").to_numpy().astype(np.int64))
