"""Soft-max losses over all items, a chunk of items at a time, with gradients written into the table.

Within a chunk, `torch.softmax` gives shares and, by its largest share, the chunk's log-sum-exp; one factor a row and
chunk joins the chunks. Exact, and a third of the time of logits, log-soft-max and their gradients in full.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.products import times
from recretrain.backbones.tables import Computed, gradient_of, neighbours

_CHUNK = 2048  # items scored together: scores of some hundred rows stay in the cache of a CPU
_GPU_CHUNK = 65_536  # a GPU waits for launches, not for memory

Rows = slice | Tensor  # of a table: neighbours, or ids


def cross_entropy(features: Tensor, table: nn.Parameter | Computed, label: Tensor, known: int | Tensor) -> Tensor:
    """Mean of -log softmax(features @ table[known].T) at the label.  # [B, d], [V, d], [B] -> []

    `known`: how many items, from the first, or their ids, distinct and ascending, such as those of one space, [I]; the
    labels, ids as well, are among them. The gradient of `table` is added to `table.grad`, unless it is frozen.
    """
    if isinstance(table, Computed):
        ids = known if isinstance(known, Tensor) else torch.arange(known, device=label.device)
        return F.cross_entropy(features @ table.rows(ids).T, torch.searchsorted(ids, label))
    loss: Tensor = _CrossEntropy.apply(features, table, label, known)  # type: ignore[no-untyped-call]
    return loss


def distillation(features: Tensor, table: nn.Parameter, taught: Tensor, teacher: Tensor) -> Tensor:
    """Mean of -sum_i q_i log p_i over the teacher's items i: q = softmax(taught @ teacher.T), p the student's
    soft-max over the same items (not over all that it knows).  # [B, d], [V, d], [B, d], [I, d] -> []

    The gradient of `table` is added to `table.grad`, unless it is frozen.
    """
    loss: Tensor = _Distillation.apply(features, table, taught, teacher)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, table: nn.Parameter, label: Tensor, known: int | Tensor) -> Tensor:
        shares, chunks = _ChunkedSoftmax(), list(_chunks(known, table.device))
        for chunk in chunks:
            shares.add(times(features, table[chunk]))
        ctx.table, ctx.chunks, ctx.shares, ctx.label = table, chunks, shares, label
        ctx.save_for_backward(features)
        scored = (features * table[label]).sum(1)
        return (shares.log_sum() - scored).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (features,) = ctx.saved_tensors
        table, label = ctx.table, ctx.label
        into = gradient_of(table) if ctx.needs_input_grad[1] else None
        weight = gradient / len(features)
        back = table[label] * -weight
        if into is not None:
            into.index_add_(0, label, features * -weight)
        for chunk, (share, factor) in zip(ctx.chunks, ctx.shares.with_factors(), strict=True):
            scale = (factor * weight).unsqueeze(1)
            back += times(share, table[chunk].T) * scale
            if into is not None:
                into[chunk] += times((features * scale).T, share.T).T.contiguous()  # an add of rows: half the time
        return back, None, None, None


class _Distillation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, table: nn.Parameter, taught: Tensor, teacher: Tensor) -> Tensor:
        ours, theirs, agreed = _ChunkedSoftmax(), _ChunkedSoftmax(), []
        for chunk in _chunks(len(teacher), table.device):
            scores = times(features, table[chunk])
            share = theirs.add(times(taught, teacher[chunk]))
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
        into = gradient_of(table) if ctx.needs_input_grad[1] else None
        weight = gradient / len(features)
        back = torch.zeros_like(features)
        both = zip(_chunks(ctx.known, table.device), ctx.ours.with_factors(), ctx.theirs.with_factors(), strict=True)
        for chunk, (ours, our_factor), (theirs, their_factor) in both:
            difference = ours * (our_factor * weight).unsqueeze(1)
            difference.addcmul_(theirs, (their_factor * -weight).unsqueeze(1))
            back += times(difference, table[chunk].T)
            if into is not None:
                into[chunk] += times(features.T, difference.T).T.contiguous()
        return back, None, None, None


class _ChunkedSoftmax:
    """Soft-max of every row of scores that come a chunk of items at a time."""

    def __init__(self) -> None:
        self._shares: list[Tensor] = []  # [B, chunk] each; a row sums to 1
        self._log_sums: list[Tensor] = []  # [B] each

    def add(self, scores: Tensor) -> Tensor:
        """The shares of the items within their chunk.  # [B, chunk] -> [B, chunk]"""
        share = torch.softmax(scores, 1)
        self._log_sums.append(scores.amax(1) - share.amax(1).log())
        self._shares.append(share)
        return share

    def log_sum(self) -> Tensor:
        """Log-sum-exp of all scores of a row.  # [B]"""
        return torch.logsumexp(torch.stack(self._log_sums), 0)

    def factors(self) -> Tensor:
        """Per-chunk factors that turn chunk-wise shares into shares of the whole soft-max.  # [chunks, B]"""
        return torch.softmax(torch.stack(self._log_sums), 0)

    def with_factors(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Shares and factor of every chunk.  # [B, chunk], [B] each"""
        return zip(self._shares, self.factors(), strict=True)


def _chunks(known: int | Tensor, device: torch.device) -> Iterator[Rows]:
    size = _CHUNK if device.type == "cpu" else _GPU_CHUNK
    rows = neighbours(known) if isinstance(known, Tensor) else slice(0, known)
    if isinstance(rows, Tensor):
        yield from torch.split(rows, size)
    else:
        yield from (slice(start, min(start + size, rows.stop)) for start in range(rows.start, rows.stop, size))
