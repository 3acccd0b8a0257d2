"""Soft-max over some drawn items in place of all, corrected for how often each is drawn (peterrec.md, c)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recretrain.backbones.products import times
from recretrain.backbones.tables import add_to_gradient


class Drawn(NamedTuple):
    """Items drawn for a batch, and the logarithm of how often each is expected among them."""

    items: Tensor  # [S] distinct ids
    log_expected: Tensor  # [S]
    log_expected_label: Tensor  # [N] of the batch's labels


def sampled_cross_entropy(features: Tensor, table: nn.Parameter, label: Tensor, drawn: Drawn) -> Tensor:
    """Mean of -log soft-max at the label among itself and the drawn items; one that is the label does not count.

    TensorFlow's `sampled_softmax_loss` with distinct draws. The gradient of `table` is added to `table.grad`, unless it
    is frozen.  # [N, d], [V, d], [N] -> []
    """
    loss: Tensor = _SampledCrossEntropy.apply(features, table, label, drawn)  # type: ignore[no-untyped-call]
    return loss


class _SampledCrossEntropy(torch.autograd.Function):
    """A third of the time of the same by autograd: two products and one pass over the shares, each way."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, table: nn.Parameter, label: Tensor, drawn: Drawn) -> Tensor:
        rows, own_row = table[drawn.items], table[label]
        scores = torch.empty(len(features), len(rows) + 1, dtype=features.dtype, device=features.device)
        torch.sub((features * own_row).sum(1), drawn.log_expected_label, out=scores[:, 0])
        torch.sub(times(features, rows), drawn.log_expected, out=scores[:, 1:])
        hit, column = _hits(label, drawn.items)
        scores[hit, column + 1] = -math.inf
        share = torch.softmax(scores, 1)
        ctx.table, ctx.label, ctx.drawn = table, label, drawn
        ctx.save_for_backward(features, share, rows, own_row)
        log_sum = scores.amax(1) - share.amax(1).log()  # of the share itself there may be nothing left
        return (log_sum - scores[:, 0]).mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        features, share, rows, own_row = ctx.saved_tensors
        weight = gradient / len(features)
        own, others = (share[:, :1] - 1) * weight, share[:, 1:] * weight
        if ctx.needs_input_grad[1]:
            add_to_gradient(ctx.table, ctx.label, features * own)
            add_to_gradient(ctx.table, ctx.drawn.items, others.T @ features)
        return own * own_row + others @ rows, None, None, None


def _hits(label: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Where a label is among the drawn items: its row, and the column of the item.  # [N], [S] -> [hits] each"""
    order = torch.argsort(drawn)
    place = order[torch.searchsorted(drawn, label, sorter=order).clamp(max=len(drawn) - 1)]
    hit = torch.nonzero(drawn[place] == label).squeeze(1)
    return hit, place[hit]


class LogUniform:
    """Distinct items by P(rank r) = log((r + 2) / (r + 1)) / log(items + 1), ranked by how often they occur.

    The released code ranks by id, which is the order of first appearance (peterrec.md, c).
    """

    def __init__(self, items: Tensor, n_items: int) -> None:
        """`items`: [K] the ids to draw from, the most frequent first; ids are below `n_items`."""
        self._items = items
        rank = torch.arange(len(items), dtype=torch.float64, device=items.device)
        self.chance = torch.log((rank + 2) / (rank + 1)) / math.log(len(items) + 1)
        self._rank = torch.zeros(n_items, dtype=torch.int64, device=items.device)
        self._rank[items] = torch.arange(len(items), device=items.device)

    def draw(self, count: int, label: Tensor, generator: torch.Generator) -> Drawn:
        """`count` distinct items (all where there are no more) for a batch with these labels."""
        if count >= len(self._items):
            nothing = torch.zeros(len(self._items), device=label.device)
            return Drawn(self._items, nothing, torch.zeros(len(label), device=label.device))
        ranks, tries = self._distinct(count, generator)
        log_expected = expected(self.chance, tries).log().float()
        return Drawn(self._items[ranks], log_expected[ranks], log_expected[self._rank[label]])

    def _distinct(self, count: int, generator: torch.Generator) -> tuple[Tensor, int]:
        """The first `count` distinct ranks of a row of draws, and how many draws it took to get them."""
        found = self._ranks(2 * count, generator)
        while True:
            first = _first_places(found)
            if len(first) >= count:
                last = int(first[count - 1])
                return found[first[:count]], last + 1
            found = torch.cat([found, self._ranks(len(found), generator)])

    def _ranks(self, count: int, generator: torch.Generator) -> Tensor:
        """Ranks by the inverse of the distribution: P(rank < r) = log(r + 1) / log(items + 1)."""
        uniform = torch.rand(count, generator=generator, device=self._items.device, dtype=torch.float64)
        rank = torch.exp(uniform * math.log(len(self._items) + 1)).long() - 1
        return rank.clamp(max=len(self._items) - 1)


def expected(chance: Tensor, tries: int) -> Tensor:
    """How often each is expected among the distinct ones of `tries` draws: 1 - (1 - P) ** tries."""
    return -torch.expm1(tries * torch.log1p(-chance))


def in_batch(label: Tensor, log_share: Tensor) -> Drawn:
    """The batch's own labels as its drawn items, corrected by their shares of all labels.  # [N], [n_items]"""
    items = torch.unique(label)
    return Drawn(items, log_share[items], log_share[label])


def _first_places(values: Tensor) -> Tensor:
    """Where each value stands for the first time, in that order.  # [N] -> [distinct]"""
    _, inverse = torch.unique(values, return_inverse=True)
    places = torch.arange(len(values), device=values.device)
    first = values.new_full((int(inverse.max()) + 1,), len(values))
    return torch.sort(first.scatter_reduce(0, inverse, places, "amin")).values
