"""Rows are read from a table and their gradients written into it: a fresh dense gradient costs more than the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam


def take(table: Tensor, index: Tensor) -> Tensor:
    """`table[index]`, whose gradient is added to `table.grad` row by row.  # [N, d], [...] -> [..., d]"""
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

    def clear(self) -> None:
        """Set to zero whatever was written since the last time."""
        if self._version != self.cleared_at + len(self.written):
            self.zero_()
        elif self.written:
            self.index_fill_(0, torch.cat(self.written), 0.0)
        self._is_clear()

    def _is_clear(self) -> None:
        self.written = []
        self.cleared_at = self._version


def gradient_of(table: nn.Parameter) -> Tensor:
    """The table's gradient, to be added to; zeros where it has none yet. Not for a frozen table."""
    if table.grad is None:
        table.grad = TableGradient.of_zeros(table)
    return table.grad


def add_to_gradient(table: nn.Parameter, index: Tensor, rows: Tensor) -> None:
    """Add `rows` to the gradient of the table's rows `index`, which may repeat.  # [N], [N, d]"""
    into = gradient_of(table)
    if isinstance(into, TableGradient):
        into.add_rows(index, rows)
    else:  # autograd's own, which `zero_grad` drops
        into.index_add_(0, index, rows)


class DenseAdam(Adam):
    """Adam over whole tables, fused: rows without a gradient move on by their moments (sml.md, T3)."""

    def __init__(self, parameters: list[nn.Parameter], *, learning_rate: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of tables, which are kept; other parameters lose theirs as usual."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if isinstance(parameter.grad, TableGradient):
                    parameter.grad.clear()
                else:
                    parameter.grad = None


class TensorFlowAdam(DenseAdam):
    """The same with epsilon where TensorFlow adds it: to the root of the moment before its bias is corrected."""

    _EPSILON = 1e-8

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            state = next((self.state[p] for p in group["params"] if p in self.state), None)
            steps = 1 + (float(state["step"]) if state else 0.0)
            group["eps"] = self._EPSILON / (1 - group["betas"][1] ** steps) ** 0.5
        return super().step(closure)
