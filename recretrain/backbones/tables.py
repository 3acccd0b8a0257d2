"""Rows are read from a table and their gradients written into it: a fresh dense gradient costs more than the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

_touched: str = "rows_with_gradient"  # attribute of a table's gradient: the rows that are not zero
_whole: str = "all_rows_with_gradient"  # attribute of a table's gradient: any row may be other than zero


def take(table: Tensor, index: Tensor) -> Tensor:
    """`table[index]`, whose gradient is added to `table.grad` row by row.  # [N, d], [...] -> [..., d]"""
    if isinstance(table, nn.Parameter) and table.requires_grad and torch.is_grad_enabled():
        rows: Tensor = _Take.apply(table, index)  # type: ignore[no-untyped-call]
        return rows
    return table[index]


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
        into = gradient_of(ctx.table)
        into.index_add_(0, index, gradient.reshape(len(index), into.shape[1]))
        setattr(into, _touched, [*getattr(into, _touched, []), index])
        return None, None


def gradient_of(table: nn.Parameter, *, whole: bool = False) -> Tensor:
    """The table's gradient, to be added to; say `whole` unless the rows are told by `take`."""
    if table.grad is None:
        table.grad = torch.zeros_like(table)
    if whole:
        setattr(table.grad, _touched, getattr(table.grad, _touched, []))
        setattr(table.grad, _whole, True)
    return table.grad


class DenseAdam(Adam):
    """Adam over whole tables: rows without a gradient move on by their moments (spec T3). Fused, same mathematics."""

    def __init__(self, parameters: list[nn.Parameter], *, learning_rate: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Only the rows that `take` wrote are set back to zero; other parameters lose their gradient as usual."""
        for group in self.param_groups:
            for parameter in group["params"]:
                rows = getattr(parameter.grad, _touched, None)
                if rows is None:
                    parameter.grad = None
                    continue
                if getattr(parameter.grad, _whole, False):
                    parameter.grad.zero_()
                elif rows:
                    parameter.grad.index_fill_(0, torch.cat(rows), 0.0)
                setattr(parameter.grad, _touched, [])
                setattr(parameter.grad, _whole, False)


class TensorFlowAdam(DenseAdam):
    """The same with epsilon where TensorFlow adds it: to the root of the moment before its bias is corrected."""

    _EPSILON = 1e-8

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            state = next((self.state[p] for p in group["params"] if p in self.state), None)
            steps = 1 + (float(state["step"]) if state else 0.0)
            group["eps"] = self._EPSILON / (1 - group["betas"][1] ** steps) ** 0.5
        return super().step(closure)
