"""A small world of ratings: facts of users and items explain a part, a taste that other ratings tell another part.

Everybody's liking is `facts of the pair + taste of the user, in genres of the item + noise`, in units of its own
deviation. The first can be learned from all users; the second shows in a user's own ratings only, so that a model which
is adapted to a few of them foresees the others better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recretrain.preparation.synthetic.tastes import Floats, Ints, popularity


@dataclass(frozen=True, kw_only=True)
class OpinionPoll:
    """Options of the generators of ratings."""

    users: int
    items: int
    ratings: int
    facts: float  # share of the ratings' variance that facts of users and items explain
    taste: float  # share that the user's other ratings tell; the rest is noise
    new_items: float  # share of items of the new years
    seed: int

    version: ClassVar[int] = 1  # raise when the same options give other files

    def pairs(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Who rates what: distinct pairs, user after user, each user's in no order."""
        liveliness = np.log(popularity(self.users, 0.3, rng))[:, None] + np.log(popularity(self.items, 0.5, rng))
        luck = liveliness + rng.gumbel(size=liveliness.shape)
        if self.ratings > luck.size:
            raise ValueError(f"{self.ratings} ratings are more than {self.users} users and {self.items} items give")
        chosen = rng.permutation(np.argsort(luck, axis=None)[luck.size - self.ratings :])
        chosen = chosen[np.argsort(chosen // self.items, kind="stable")]
        return chosen // self.items, chosen % self.items

    def opinions(self, told: Floats, genres: Floats, users: Ints, items: Ints, rng: np.random.Generator) -> Floats:
        """Of mean 0 and deviation 1; `told` is what facts say of every pair, `genres` are shares.

        # [users, items], [items, genres], [N], [N] -> [N]
        """
        taste = rng.normal(size=(self.users, genres.shape[1])) @ genres.T + 0.3 * rng.normal(size=(self.users, 1))
        noise = rng.normal(size=len(users))
        liked: Floats = (
            np.sqrt(self.facts) * _standard(told[users, items])
            + np.sqrt(self.taste) * _standard(taste[users, items])
            + np.sqrt(1 - self.facts - self.taste) * noise
        )
        return liked

    def years(self, first_new: int, rng: np.random.Generator) -> Ints:
        """`new_items` of the items are of three years from `first_new` on, the others of forty before.  # [items]"""
        new = rng.permutation(self.items) < round(self.new_items * self.items)
        return first_new + np.where(new, rng.integers(3, size=self.items), -1 - rng.integers(40, size=self.items))


def stars(opinions: Floats, mean: float, deviation: float, highest: int) -> Ints:
    """Whole ratings from 1 on."""
    return np.rint(mean + deviation * opinions).clip(1, highest).astype(np.int64)


def _standard(values: Floats) -> Floats:
    centred: Floats = values - values.mean()
    return centred / max(float(values.std()), 1e-12)
