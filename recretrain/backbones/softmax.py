"""Soft-max losses over a whole vocabulary, a block of items at a time, with gradients written into the table.

Within a block, `torch.softmax` gives shares and, by its largest share, the block's log-sum-exp; the blocks are put
together by one factor a row. Exact, and a third of the time of logits, log-soft-max and their gradients in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from recretrain.backbones.products import times
from recretrain.backbones.tables import gradient_of

_BLOCK = 2048  # items scored together: scores of some hundred rows stay in the cache


def cross_entropy(features: Tensor, table: nn.Parameter, label: Tensor, known: int) -> Tensor:
    """Mean of -log softmax(features @ table[:known].T) at the label.  # [B, d], [V, d], [B] -> []

    The gradient of `table` is added to `table.grad`.
    """
    loss: Tensor = _CrossEntropy.apply(features, table, label, known)  # type: ignore[no-untyped-call]
    return loss


def distillation(features: Tensor, table: nn.Parameter, taught: Tensor, teacher: Tensor) -> Tensor:
    """Mean of -sum_i q_i log p_i over the teacher's items i: q = softmax(taught @ teacher.T), p the student's
    soft-max over the same items (not over all that it knows).  # [B, d], [V, d], [B, d], [I, d] -> []

    The gradient of `table` is added to `table.grad`.
    """
    loss: Tensor = _Distillation.apply(features, table, taught, teacher)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, table: nn.Parameter, label: Tensor, known: int) -> Tensor:
        shares = _Shares()
        for block in _blocks(known):
            shares.add(times(features, table[block]))
        ctx.table, ctx.known, ctx.shares, ctx.label = table, known, shares, label
        ctx.save_for_backward(features)
        scored = (features * table[label]).sum(1)
        return (shares.log_sum() - scored).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (features,) = ctx.saved_tensors
        table, label = ctx.table, ctx.label
        into = gradient_of(table, whole=True)
        weight = gradient / len(features)
        back = table[label] * -weight
        into.index_add_(0, label, features * -weight)
        for block, (share, factor) in zip(_blocks(ctx.known), ctx.shares.parts(), strict=True):
            scale = (factor * weight).unsqueeze(1)
            back += times(share, table[block].T) * scale
            into[block] += times((features * scale).T, share.T).T
        return back, None, None, None


class _Distillation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, table: nn.Parameter, taught: Tensor, teacher: Tensor) -> Tensor:
        ours, theirs, agreed = _Shares(), _Shares(), []
        for block in _blocks(len(teacher)):
            scores = times(features, table[block])
            share = theirs.add(times(taught, teacher[block]))
            agreed.append(torch.linalg.vecdot(share, scores))
            ours.add(scores)
        ctx.table, ctx.known, ctx.ours, ctx.theirs = table, len(teacher), ours, theirs
        ctx.save_for_backward(features)
        expected = torch.stack([part * factor for part, factor in zip(agreed, theirs.factors(), strict=True)]).sum(0)
        return (ours.log_sum() - expected).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (features,) = ctx.saved_tensors
        table = ctx.table
        into = gradient_of(table, whole=True)
        weight = gradient / len(features)
        back = torch.zeros_like(features)
        parts = zip(_blocks(ctx.known), ctx.ours.parts(), ctx.theirs.parts(), strict=True)
        for block, (ours, our_factor), (theirs, their_factor) in parts:
            difference = ours * (our_factor * weight).unsqueeze(1)
            difference.addcmul_(theirs, (their_factor * -weight).unsqueeze(1))
            back += times(difference, table[block].T)
            into[block] += times(features.T, difference.T).T
        return back, None, None, None


class _Shares:
    """Soft-max of a row, block by block."""

    def __init__(self) -> None:
        self._shares: list[Tensor] = []  # [B, block] each, summing to 1
        self._log_sums: list[Tensor] = []  # [B] each

    def add(self, scores: Tensor) -> Tensor:
        share = torch.softmax(scores, 1)
        self._log_sums.append(scores.amax(1) - share.amax(1).log())
        self._shares.append(share)
        return share

    def log_sum(self) -> Tensor:
        return torch.logsumexp(torch.stack(self._log_sums), 0)

    def factors(self) -> Tensor:
        """What a block's shares are to be multiplied with, to be shares of all.  # [blocks, B]"""
        return torch.softmax(torch.stack(self._log_sums), 0)

    def parts(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self._shares, self.factors(), strict=True)


def _blocks(known: int) -> Iterator[slice]:
    return (slice(start, min(start + _BLOCK, known)) for start in range(0, known, _BLOCK))
