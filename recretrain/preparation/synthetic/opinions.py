"""A small world of ratings: facts about users and items explain a part, a taste that other ratings tell another part.

Everybody's liking is `facts of the pair + taste of the user, in genres of the item + noise`, in units of its own
deviation. The first can be learned from all users; the second shows in a user's own ratings only, so that a model which
is adapted to a few of them foresees the others better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recretrain.errors import DataError
from recretrain.preparation.synthetic.tastes import Floats, Ints, popularity
from recretrain.values import AtLeast0, AtLeast1, Share


@dataclass(frozen=True, kw_only=True)
class OpinionPoll:
    """Options of the generators of ratings."""

    users: AtLeast1
    items: AtLeast1
    ratings: AtLeast1
    facts: Share  # of the ratings' variance, that facts about users and items explain
    taste: Share  # of it, that the user's other ratings tell; the rest is noise
    new_items: Share  # of items, that are of the new years
    seed: AtLeast0

    version: ClassVar[int] = 1  # raise when the same options give other files

    def __post_init__(self) -> None:
        if self.facts + self.taste > 1:
            raise DataError(
                f"data.generator.facts={self.facts:g} and data.generator.taste={self.taste:g} are shares of one "
                "variance; give shares of which the sum is at most 1"
            )

    def pairs(self, rng: np.random.Generator, liking: Floats | float = 0.0) -> tuple[Ints, Ints]:
        """Distinct pairs of a user and an item, user after user, those of each in no order.  # [ratings], [ratings]

        Those with a high `liking` ([users, items]) rather than others.
        """
        liveliness = np.log(popularity(self.users, 0.3, rng))[:, None] + np.log(popularity(self.items, 0.5, rng))
        liveliness = liveliness + liking
        luck = liveliness + rng.gumbel(size=liveliness.shape)
        if self.ratings > luck.size:
            raise DataError(
                f"data.generator.ratings={self.ratings} are more than {self.users} users and {self.items} items give; "
                "lower it, or raise data.generator.users or data.generator.items"
            )
        chosen = rng.permutation(np.argsort(luck, axis=None)[luck.size - self.ratings :])
        chosen = chosen[np.argsort(chosen // self.items, kind="stable")]
        return chosen // self.items, chosen % self.items

    def opinions(self, by_facts: Floats, genres: Floats, users: Ints, items: Ints, rng: np.random.Generator) -> Floats:
        """Likings of mean 0 and deviation 1; `by_facts` is the part that facts explain, `genres` are shares.

        # [users, items], [items, genres], [N], [N] -> [N]
        """
        taste = rng.normal(size=(self.users, genres.shape[1])) @ genres.T + 0.3 * rng.normal(size=(self.users, 1))
        noise = rng.normal(size=len(users))
        liked: Floats = (
            np.sqrt(self.facts) * _standard(by_facts[users, items])
            + np.sqrt(self.taste) * _standard(taste[users, items])
            + np.sqrt(1 - self.facts - self.taste) * noise
        )
        return liked

    def years(self, first_new: int, rng: np.random.Generator) -> Ints:
        """Years of items: `new_items` of them three years from `first_new` on, the others forty before.  # [items]"""
        new = rng.permutation(self.items) < round(self.new_items * self.items)
        return first_new + np.where(new, rng.integers(3, size=self.items), -1 - rng.integers(40, size=self.items))


def stars(opinions: Floats, mean: float, deviation: float, highest: int) -> Ints:
    """Whole ratings from 1 to `highest` of this mean and deviation."""
    return np.rint(mean + deviation * opinions).clip(1, highest).astype(np.int64)


def _standard(values: Floats) -> Floats:
    centred: Floats = values - values.mean()
    return centred / max(float(values.std()), 1e-12)
