"""Biased factorisation of ratings by alternating least squares: all users in closed form, then all items, and again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import torch
from torch import Tensor

from recretrain.backbones.two_domains import Factors, TwoDomains
from recretrain.data.interactions import Interactions
from recretrain.data.stream import Period
from recretrain.errors import ConfigError
from recretrain.methods.base import Fit
from recretrain.methods.parts.least_squares import Grouped
from recretrain.methods.parts.search import Setting
from recretrain.values import AtLeast1, NotEmpty, Positive

INIT_STD = 0.1  # of an item's factors before it has met a rating


class Neighbours(NamedTuple):
    """Users that are to have like factors; symmetric."""

    user: Tensor  # [E]
    other: Tensor  # [E]
    weight: Tensor  # [E]


class Rows:
    """Ratings above the mean of their domain, ordered once by user and by item for all fits to them."""

    def __init__(self, rows: Interactions, above: Tensor, weight: Tensor) -> None:
        """`above`: the rating less the mean of its domain, [N]; `weight` in the sum of squares, [N]."""
        self.user = rows.user
        self.item = rows.item
        self.above = above
        self.weight = weight
        self.by_user = Grouped(rows.user)
        self.by_item = Grouped(rows.item)

    @classmethod
    def of(cls, rows: Interactions) -> tuple[Rows, Tensor]:
        """The rows of one domain, each of weight 1, and their mean."""
        rating = rows.other["rating"].double()
        mean = rating.mean()
        return cls(rows, rating - mean, torch.ones_like(rating)), mean


class Tables(NamedTuple):
    """A bias in the first column, then factors."""

    user: Tensor  # [n_users, 1 + k]
    item: Tensor  # [n_items, 1 + k]

    @classmethod
    def zeros(cls, sizes: tuple[int, int], k: int, device: torch.device) -> Tables:
        user, item = (torch.zeros(n, 1 + k, dtype=torch.float64, device=device) for n in sizes)
        return cls(user, item)

    @classmethod
    def of(cls, backbone: TwoDomains) -> Tables:
        """The biases and factors of a backbone."""
        user = torch.cat([backbone.user_bias.unsqueeze(1), backbone.user], 1)
        return cls(user, torch.cat([backbone.item_bias.unsqueeze(1), backbone.item], 1))

    def copy(self, k: int) -> Tables:
        """The bias and the first `k` factors."""
        return Tables(self.user[:, : 1 + k].clone(), self.item[:, : 1 + k].clone())

    def factors(self, mean: Tensor) -> Factors:
        return Factors(mean, self.item[:, 0], self.user[:, 0], self.item[:, 1:], self.user[:, 1:])


class OneDomain(ABC):
    """Factorises the rows of one domain, again and again, by one setting after another."""

    mean: Tensor  # [], of the ratings

    @abstractmethod
    def fit(self, setting: Setting, before: Tables, fit: Fit) -> Tables:
        """Biases and factors by a setting of `Factoriser.grid`, from `before` on."""


class Factoriser(ABC):
    """Makes biases and factors of the users and items of one domain; which settings it has is told by its grid."""

    warm: ClassVar[bool] = True  # it can go on from factors of earlier rows

    @abstractmethod
    def grid(self) -> Mapping[str, Sequence[float]]:
        """The settings to choose from; `rank` is one of them."""

    @abstractmethod
    def prepare(self, rows: Interactions, periods: Sequence[Period], backbone: TwoDomains) -> OneDomain:
        """Take the rows of a domain, which are from these periods; all for users and items of `backbone`."""

    def check(self, width: int) -> None:
        """Raise ConfigError where a rank is more than the backbone has room for."""
        ranks = self.grid()["rank"]
        if max(ranks) > width:
            raise ConfigError(
                f"method.factors.ranks={list(ranks)} are more than backbone.embedding_size={width} has room for; "
                "raise it, or lower the ranks"
            )


@dataclass(frozen=True, kw_only=True)
class LeastSquares(Factoriser):
    """By alternating least squares."""

    ranks: Annotated[Sequence[AtLeast1], NotEmpty()]  # factors of a user or item
    penalties: Annotated[Sequence[Positive], NotEmpty()]  # x the squares of biases and factors, in all rows' errors
    sweeps: AtLeast1  # over all users, then all items

    def grid(self) -> Mapping[str, Sequence[float]]:
        return {"rank": self.ranks, "penalty": self.penalties}

    def prepare(self, rows: Interactions, periods: Sequence[Period], backbone: TwoDomains) -> OneDomain:
        return _Alternating(rows, self.sweeps)


class _Alternating(OneDomain):
    def __init__(self, rows: Interactions, sweeps: int) -> None:
        self.rows, self.mean = Rows.of(rows)
        self.sweeps = sweeps

    def fit(self, setting: Setting, before: Tables, fit: Fit) -> Tables:
        penalty = setting["penalty"]
        return alternate(self.rows, before, penalty=penalty, sweeps=self.sweeps, generator=fit.generator)


def alternate(
    rows: Rows,
    tables: Tables,
    *,
    penalty: float,
    sweeps: int,
    generator: torch.Generator,
    alike: Neighbours | None = None,
    pull: float = 0.0,
) -> Tables:
    """The least sum of weight (above - b_u - b_i - p_u . q_i)^2 + penalty (b^2 + |p|^2 + |q|^2), from `tables` on.

    With `alike`, + pull x weight |x_u - x_v|^2 of each pair of users that are to be like each other, x = (b, p), where
    x_v is that of the sweep before. Users and items without rows keep what they have; items that have nothing begin at
    random.
    """
    user, item = tables.user.clone(), tables.item.clone()
    users, items = rows.by_user, rows.by_item
    _begin(item, items.ids, generator)
    flat = torch.full_like(items.ids, penalty, dtype=torch.float64)
    for _ in range(sweeps):
        held, prior = _held(user, users.ids, penalty, alike, pull)
        target = rows.above - item[rows.item, 0]
        user[users.ids] = users.solve(_with_one(item), rows.item, target, rows.weight, held, prior)
        target = rows.above - user[rows.user, 0]
        item[items.ids] = items.solve(_with_one(user), rows.user, target, rows.weight, flat)
    return Tables(user, item)


def _begin(item: Tensor, ids: Tensor, generator: torch.Generator) -> None:
    """Random factors for those of the items that have none: from zeros nothing would ever move."""
    fresh = ids[(item[ids, 1:] == 0).all(1)]
    shape = (len(fresh), item.shape[1] - 1)
    drawn = torch.randn(shape, generator=generator, dtype=torch.float32, device=generator.device)
    item[fresh, 1:] = INIT_STD * drawn.to(item)


def _with_one(table: Tensor) -> Tensor:
    """The factors behind a 1 in place of the bias: what the other side's bias and factors are multiplied by."""
    return torch.cat([torch.ones_like(table[:, :1]), table[:, 1:]], 1)


def _held(
    user: Tensor, ids: Tensor, penalty: float, alike: Neighbours | None, pull: float
) -> tuple[Tensor, Tensor | None]:
    """Penalty and prior of each user: penalty |x|^2 + sum of c |x - y|^2 is (penalty + sum c) |x - prior|^2, but for
    a constant.  # [G], [G, 1 + k]
    """
    if alike is None or not pull:
        return torch.full_like(ids, penalty, dtype=torch.float64), None
    weight = pull * alike.weight
    total = weight.new_zeros(len(user)).index_add_(0, alike.user, weight)
    towards = torch.zeros_like(user).index_add_(0, alike.user, weight.unsqueeze(1) * user[alike.other])
    held = penalty + total
    return held[ids], (towards / held.unsqueeze(1))[ids]
