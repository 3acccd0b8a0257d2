"""A user's bias in the source, scaled, in place of the one in the target that nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor

from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Ratings
from recretrain.methods.cross_domain import Domains
from recretrain.methods.parts.search import HeldOut, Search, settings
from recretrain.values import NotEmpty, NotNegative


class Biases(NamedTuple):
    """Of one domain, in sums and counts of rows; each a tensor over all users or items."""

    mean: Tensor  # []
    item: Tensor  # [n_items]
    user: Tensor  # [n_users]


class Transferred(NamedTuple):
    """Biases in the target domain; the user's is slope x that in the source."""

    mean: Tensor  # []
    item: Tensor  # [n_items]
    user: Tensor  # [n_users]
    slope: Tensor  # []

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        """Ratings of pairs.  # [N], [N] -> [N]"""
        return self.mean + self.item[item] + self.user[user]


@dataclass(frozen=True, kw_only=True)
class BiasTransfer:
    """How a user's bias is carried from the source to the target: catn_baselines.md (a).

    Both shrinkages are ratings at the mean that everybody has beside their own.
    """

    item_shrinkages: Annotated[Sequence[NotNegative], NotEmpty()]  # of items' biases, in both domains
    user_shrinkages: Annotated[Sequence[NotNegative], NotEmpty()]  # of users' biases in the source

    def fit(
        self, domains: Domains, held_out: Ratings | None, sizes: tuple[int, int], *, mapped: bool
    ) -> Search[Transferred]:
        """The transfer with the lowest error on held-out ratings, or the items' biases alone where it is not `mapped`.

        `sizes`: numbers of users and items.
        """
        asked = HeldOut(held_out, domains.target.user.device)
        search: Search[Transferred] = Search()
        grid = {"item_shrinkage": self.item_shrinkages, "user_shrinkage": self.user_shrinkages if mapped else [0.0]}
        for setting in settings(grid, held_out=len(asked) > 0):
            made = transferred(domains, sizes, **setting)
            if not mapped:
                made = made._replace(user=torch.zeros_like(made.user), slope=torch.zeros_like(made.slope))
            search.offer(
                {**setting, "slope": float(made.slope)}, asked.error(made.predict(asked.user, asked.item)), made
            )
        return search


def transferred(
    domains: Domains, sizes: tuple[int, int], *, item_shrinkage: float, user_shrinkage: float
) -> Transferred:
    """The biases of the target, with the users' from the source; the slope by least squares through 0."""
    source = shrunk(domains.source, sizes, item_shrinkage=item_shrinkage, user_shrinkage=user_shrinkage)
    target = shrunk(domains.target, sizes, item_shrinkage=item_shrinkage, user_shrinkage=0.0)
    rows = domains.of_common("target")
    above = rows.other["rating"].double() - target.mean - target.item[rows.item]
    there = source.user[rows.user]
    slope = (there * above).sum() / there.square().sum().clamp(min=1e-12)
    return Transferred(target.mean, target.item, slope * source.user, slope)


def shrunk(rows: Interactions, sizes: tuple[int, int], *, item_shrinkage: float, user_shrinkage: float) -> Biases:
    """Mean; items' deviations from it, then users' from both, each sum divided by its number + the shrinkage."""
    rating = rows.other["rating"].double()
    mean = rating.mean()
    item = _shrunk(rating - mean, rows.item, sizes[1], item_shrinkage)
    user = _shrunk(rating - mean - item[rows.item], rows.user, sizes[0], user_shrinkage)
    return Biases(mean, item, user)


def _shrunk(above: Tensor, owner: Tensor, n: int, shrinkage: float) -> Tensor:
    total = above.new_zeros(n).index_add_(0, owner, above)
    count = above.new_zeros(n).index_add_(0, owner, torch.ones_like(above))
    return total / (count + shrinkage).clamp(min=1e-12)
