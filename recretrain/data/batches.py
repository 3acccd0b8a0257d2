"""A batch is a tuple of tensors cut from one order of rows; a per-sample loader costs four times as much."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from recretrain.data.counted import Counted
from recretrain.data.interactions import Interactions

Triples = tuple[Tensor, Tensor, Tensor]  # user, positive item, negative item: [B] each
Negatives = Callable[[Tensor, Tensor, torch.Generator], Tensor]  # positions of rows [N], their users [N] -> items [N]
Order = Callable[[torch.Generator], Tensor]  # -> positions of rows, as an epoch takes them
Cut = TypeVar("Cut")  # a batch, or a column of one


class Epoch(Protocol):
    """The data of a fit: one pass gives batches, each a tuple of tensors."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Any, ...]]: ...


def part_of(batch: Cut, rank: int, ranks: int) -> Cut:
    """Neighbouring rows of a batch: those of process `rank` of `ranks`, as many as the others have or one more.

    Every column is cut by its own rows, in batches within the batch too; what is no column stays as it is.
    """
    if isinstance(batch, Tensor):
        return batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]  # type: ignore[return-value]
    if not isinstance(batch, tuple):
        return batch
    columns = [part_of(column, rank, ranks) for column in batch]
    return batch._make(columns) if hasattr(batch, "_make") else tuple(columns)  # type: ignore[return-value]


def permutation(n: int, generator: torch.Generator) -> Tensor:
    """0..n-1 in a random order, on the generator's device."""
    return torch.randperm(n, generator=generator, device=generator.device)


class Columns:
    """One pass is one epoch: the rows of all columns in a fresh order, cut into batches."""

    def __init__(
        self, columns: Sequence[Tensor], *, batch_size: int, generator: torch.Generator, drop_last: bool = False
    ) -> None:
        """`drop_last`: a last batch that is not full is left out, unless it is the only one."""
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self._columns = columns
        self._size = batch_size
        self._generator = generator
        rows = len(columns[0])
        self._taken = (rows // batch_size * batch_size if drop_last else rows) or rows

    def __len__(self) -> int:
        return -(-self._taken // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = permutation(len(self._columns[0]), self._generator)[: self._taken]
        yield from (tuple(column[at] for column in self._columns) for at in torch.split(order, self._size))


class Batches:
    """One pass is one epoch: a fresh order, fresh negatives, then slices. The last batch may be short."""

    def __init__(
        self,
        rows: Interactions,
        negatives: Negatives,
        *,
        batch_size: int,
        generator: torch.Generator,
        order: Order | None = None,
        length: int | None = None,
    ) -> None:
        """`order` (default: a permutation) gives `length` positions (default: as many as rows), repetitions allowed."""
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self._rows = rows
        self._negatives = negatives
        self._size = batch_size
        self._generator = generator
        self._order = order or partial(permutation, len(rows))
        self._length = len(rows) if length is None else length

    def __len__(self) -> int:
        return -(-self._length // self._size)

    def __iter__(self) -> Iterator[Triples]:
        at = self._order(self._generator)
        user, item = self._rows.user[at], self._rows.item[at]
        negative = self._negatives(at, user, self._generator)
        yield from zip(*(torch.split(column, self._size) for column in (user, item, negative)), strict=True)


class Alternating:
    """One pass takes a batch of each epoch in turn, so that an objective can step on several flows of data.

    A batch comes as (place of its epoch, batch). A shorter epoch begins anew until the longest is over, so that each
    flow has as many steps as the others.
    """

    def __init__(self, *epochs: Epoch) -> None:
        if not epochs or not all(map(len, epochs)):
            raise ValueError("every epoch to alternate needs at least one batch")
        self._epochs = epochs

    def __len__(self) -> int:
        return len(self._epochs) * max(map(len, self._epochs))

    def __iter__(self) -> Iterator[tuple[int, tuple[Any, ...]]]:
        endless = [itertools.chain.from_iterable(itertools.repeat(epoch)) for epoch in self._epochs]
        for _ in range(max(map(len, self._epochs))):
            yield from ((place, next(batches)) for place, batches in enumerate(endless))


def stored_negatives(candidates: Tensor | Counted) -> Negatives:
    """One of each row's stored candidates, a fresh one each epoch (sml.md, T6).  # candidates: [N, C]"""

    def draw(at: Tensor, user: Tensor, generator: torch.Generator) -> Tensor:
        column = torch.randint(candidates.shape[1], at.shape, generator=generator, device=at.device)
        return candidates[at, column].long()

    return draw
