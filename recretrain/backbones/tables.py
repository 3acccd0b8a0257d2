"""Rows are read from a table and their gradients written into it: a fresh dense gradient costs more than the batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

_touched: str = "rows_with_gradient"  # attribute of a table's gradient: the rows that are not zero


def take(table: Tensor, index: Tensor) -> Tensor:
    """`table[index]`, whose gradient is added to `table.grad` row by row.  # [N, d], [B] -> [B, d]"""
    if isinstance(table, nn.Parameter) and table.requires_grad and torch.is_grad_enabled():
        rows: Tensor = _Take.apply(table, index)  # type: ignore[no-untyped-call]
        return rows
    return table[index]


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: nn.Parameter, index: Tensor) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(index)
        return table.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, None]:
        (index,) = ctx.saved_tensors
        table: nn.Parameter = ctx.table
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        table.grad.index_add_(0, index, gradient)
        setattr(table.grad, _touched, [*getattr(table.grad, _touched, []), index])
        return None, None


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
                else:
                    parameter.grad.index_fill_(0, torch.cat(rows), 0.0)
                    setattr(parameter.grad, _touched, [])
