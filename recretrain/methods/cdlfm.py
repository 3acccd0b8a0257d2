"""CDLFM (Wang et al., DASFAA 2018): users who rate alike have like factors; those most like a user map his."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from recretrain.backbones.two_domains import TwoDomains
from recretrain.data.interactions import Interactions
from recretrain.data.stream import Period
from recretrain.methods.base import Fit
from recretrain.methods.parts.factorising import LeastSquares, Neighbours, OneDomain, Rows, Tables, alternate
from recretrain.methods.parts.search import Setting
from recretrain.values import AtLeast1, NotEmpty, NotNegative

_USERS = 256  # compared with all others together


@dataclass(frozen=True, kw_only=True)
class SimilarUsers(LeastSquares):
    """Alternating least squares in which users who rate alike pull each other: docs/methods/catn_baselines.md (d)."""

    pulls: Annotated[Sequence[NotNegative], NotEmpty()]  # gamma, x likeness x the squared distance of two users
    most: AtLeast1  # users that one is compared with: those most like him

    def grid(self) -> Mapping[str, Sequence[float]]:
        return {**super().grid(), "pull": self.pulls}

    def prepare(self, rows: Interactions, periods: Sequence[Period], backbone: TwoDomains) -> OneDomain:
        return _Similar(rows, self.sweeps, self.most)


class _Similar(OneDomain):
    def __init__(self, rows: Interactions, sweeps: int, most: int) -> None:
        self.rows, self.mean = Rows.of(rows)
        self.sweeps = sweeps
        self.alike = alike(rows, most)

    def fit(self, setting: Setting, before: Tables, fit: Fit) -> Tables:
        return alternate(
            self.rows,
            before,
            penalty=setting["penalty"],
            sweeps=self.sweeps,
            generator=fit.generator,
            alike=self.alike,
            pull=setting["pull"],
        )


def alike(rows: Interactions, most: int) -> Neighbours:
    """Each user with those most like him, and they with him.

    Likeness is the share of the items of either that both have rated x how much their ratings agree there: 1 - the mean
    squared difference over the largest that is possible.
    """
    ids, user = torch.unique(rows.user, return_inverse=True)
    ratings = _Ratings.of(user, rows)
    pairs = []
    for block in torch.split(torch.arange(len(ids), device=user.device), _USERS):
        likeness = ratings.likeness(block)
        likeness[torch.arange(len(block), device=user.device), block] = 0
        best, who = likeness.topk(min(most, len(ids)), dim=1)
        kept = best > 0
        pairs.append((block.unsqueeze(1).expand_as(who)[kept], who[kept], best[kept]))
    one, other, weight = (torch.cat(column) for column in zip(*pairs, strict=True))
    lower, upper = torch.minimum(one, other), torch.maximum(one, other)
    pair, place = torch.unique(lower * len(ids) + upper, return_inverse=True)
    weight = torch.zeros(len(pair), dtype=weight.dtype, device=weight.device).index_copy_(0, place, weight)
    left, right = ids[pair // len(ids)], ids[pair % len(ids)]
    return Neighbours(torch.cat([left, right]), torch.cat([right, left]), torch.cat([weight, weight]))


@dataclass(frozen=True)
class _Ratings:
    """Sparse matrices of users and items; of an item that a user has rated twice, the mean."""

    once: Tensor  # 1 where there is a rating
    rated: Tensor
    squared: Tensor
    count: Tensor  # [n], of each user
    widest: float  # the largest squared difference of two ratings

    @classmethod
    def of(cls, user: Tensor, rows: Interactions) -> _Ratings:
        """`user`: of each row by numbers 0.. of those who have any.  # [N]"""
        _, item = torch.unique(rows.item, return_inverse=True)
        rating = rows.other["rating"].double()
        shape = (int(user.max()) + 1, int(item.max()) + 1)
        place, cell = torch.unique(user * shape[1] + item, return_inverse=True)
        total = torch.zeros(len(place), dtype=rating.dtype, device=rating.device).index_add_(0, cell, rating)
        mean = total / torch.bincount(cell)
        at = torch.stack([place // shape[1], place % shape[1]])
        once, rated, squared = (
            torch.sparse_coo_tensor(at, value, shape, check_invariants=False, is_coalesced=True)
            for value in (torch.ones_like(mean), mean, mean**2)
        )
        count = torch.bincount(at[0], minlength=shape[0]).double()
        return cls(once, rated, squared, count, float(rating.max() - rating.min()) ** 2 or 1.0)

    def likeness(self, block: Tensor) -> Tensor:
        """Of neighbouring users to all.  # [b] -> [b, n]"""
        once, rated, squared = (
            of.narrow_copy(0, int(block[0]), len(block)).to_dense().T for of in (self.once, self.rated, self.squared)
        )
        both = self.once @ once
        apart = self.once @ squared + self.squared @ once - 2 * (self.rated @ rated)
        agreement = 1 - apart / both.clamp(min=1) / self.widest
        either = self.count.unsqueeze(1) + self.count[block] - both
        found: Tensor = (both / either * agreement).T
        return found.contiguous()
