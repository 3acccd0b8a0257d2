"""Rows are read from a table and their gradients written into it: a fresh dense gradient costs more than the batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Computed(ABC):
    """A table whose rows are computed when they are read; `standing_in` has a backbone read it in place of its own."""

    shape: torch.Size

    @abstractmethod
    def rows(self, index: Tensor) -> Tensor:
        """Rows by id, which may repeat, with a gradient for what they are computed from.  # [R] -> [R, d]"""


@contextmanager
def standing_in(module: nn.Module, tables: Mapping[str, Computed]) -> Iterator[None]:
    """Inside, `take` and the soft-max of `module` read these tables in place of its parameters of the same names."""
    vars(module).update(tables)  # found before a module's parameters, which stay where they are
    try:
        yield
    finally:
        for name in tables:
            del vars(module)[name]


def take(table: Tensor | Computed, index: Tensor) -> Tensor:
    """`table[index]`, whose gradient is added to `table.grad` row by row.  # [N, d], [...] -> [..., d]"""
    if isinstance(table, Computed):
        return table.rows(index.reshape(-1)).view(*index.shape, table.shape[1])
    if isinstance(table, nn.Parameter) and table.requires_grad and torch.is_grad_enabled():
        rows: Tensor = _Take.apply(table, index)  # type: ignore[no-untyped-call]
        return rows
    return table[index]


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """`table[ids]` for distinct ids in ascending order, [I]; without a copy where they are neighbours."""
    return table[neighbours(ids)]


def neighbours(ids: Tensor) -> slice | Tensor:
    """Distinct ids in ascending order, [I], as a slice where none is left out."""
    first, last = ids[[0, -1]].tolist()
    return slice(first, last + 1) if last - first + 1 == len(ids) else ids


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: nn.Parameter, index: Tensor) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(index)
        return table.index_select(0, index.reshape(-1)).view(*index.shape, table.shape[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        (index,) = ctx.saved_tensors
        index = index.reshape(-1)
        rows = gradient.reshape(len(index), ctx.table.shape[1])
        add_to_gradient(ctx.table, index, rows)
        return None, None


class TableGradient(Tensor):
    """A gradient that is kept from step to step, and remembers which rows `take` wrote: only they are set back to zero.

    Every other writer (a soft-max over all items, a penalty, autograd) shows in the tensor's version, which counts
    writes; then all rows are set back.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    written: list[Tensor]  # ids of rows, one entry a call of `add_rows`
    cleared_at: int  # version of the tensor when it was last all zeros

    @classmethod
    def of_zeros(cls, table: Tensor) -> TableGradient:
        made = torch.zeros_like(table).as_subclass(cls)
        made._is_clear()
        return made

    def add_rows(self, index: Tensor, rows: Tensor) -> None:
        """Add `rows` to those of the ids `index`, which may repeat.  # [N], [N, d]"""
        self.index_add_(0, index, rows)
        self.written.append(index)

    def rows(self) -> list[Tensor] | None:
        """The ids of the rows that were written since the last `clear`, which may repeat; None: any of them was."""
        return self.written if self._version == self.cleared_at + len(self.written) else None

    def clear(self) -> None:
        """Set to zero whatever was written since the last time."""
        if self.rows() is None:
            self.zero_()
        elif self.written:
            self.index_fill_(0, torch.cat(self.written), 0.0)
        self._is_clear()

    def _is_clear(self) -> None:
        self.written = []
        self.cleared_at = self._version


class RowGradients:
    """Gradients of single rows, not added up: what a batch asks of a table, whatever the table's size."""

    def __init__(self) -> None:
        self.parts: list[tuple[Tensor, Tensor]] = []  # ids [N], which may repeat, and their gradients [N, d]

    def summed(self) -> tuple[Tensor, Tensor]:
        """The rows that were read, each once, and the sums of their gradients.  # [R] ids, [R, d]"""
        ids, place = torch.unique(torch.cat([index for index, _ in self.parts]), return_inverse=True)
        rows = torch.cat([rows for _, rows in self.parts])
        return ids, rows.new_zeros(len(ids), rows.shape[1]).index_add_(0, place, rows)


def keep_apart(table: Tensor) -> None:
    """Until `taken_apart`, `add_to_gradient` leaves the rows of this table apart; drops the gradient it has."""
    table.grad, table.apart = None, RowGradients()  # type: ignore[attr-defined]


def is_kept_apart(table: Tensor) -> bool:
    """Whether rows of its gradient are left apart now."""
    return "apart" in vars(table)


def taken_apart(table: Tensor) -> RowGradients | None:
    """The gradients of rows since `keep_apart`; None where there are none.

    Where the table has a gradient as a whole too they become part of that.
    """
    apart: RowGradients | None = vars(table).pop("apart", None)
    if apart is None or not apart.parts:
        return None
    if table.grad is None:
        return apart
    for index, rows in apart.parts:
        add_to_gradient(table, index, rows)
    return None


def gradient_of(table: Tensor) -> Tensor:
    """The table's gradient, to be added to; zeros where it has none yet. Not for a frozen table."""
    if table.grad is None:
        table.grad = TableGradient.of_zeros(table)
    return table.grad


def clear_gradient(parameter: Tensor) -> None:
    """Set the gradient of a table back to zeros, which is kept; drop any other."""
    if isinstance(parameter.grad, TableGradient):
        parameter.grad.clear()
    else:
        parameter.grad = None


def add_to_gradient(table: Tensor, index: Tensor, rows: Tensor) -> None:
    """Add `rows` to the gradient of the table's rows `index`, which may repeat.  # [N], [N, d]"""
    if is_kept_apart(table):
        table.apart.parts.append((index, rows))  # type: ignore[attr-defined]
        return
    into = gradient_of(table)
    if isinstance(into, TableGradient):
        into.add_rows(index, rows)
    else:  # autograd's own, which `zero_grad` drops
        into.index_add_(0, index, rows)
