"""Reviews in the layout of Yelp's academic data set, generated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from recretrain.preparation.synthetic.tastes import (
    Drift,
    Floats,
    Ints,
    Offer,
    World,
    crowd_of,
    distinct_picks,
    popularity,
)
from recretrain.values import AtLeast0, AtLeast1, Positive, Share

STARS = (1.0, 2.0, 3.0, 4.0, 5.0)
SHARES = (0.12, 0.08, 0.12, 0.25, 0.43)  # roughly as on Yelp


@dataclass(frozen=True, kw_only=True)
class YelpReviews:
    """Users with tastes that turn, and businesses that open, have their day and fade."""

    reviews: AtLeast1
    users: AtLeast1
    items: AtLeast1
    drift: Drift  # of tastes
    life: Positive  # of the whole time, in which an item's popularity falls to 1/e
    new_items: Share  # of items, that open during the time
    seed: AtLeast0

    version: ClassVar[int] = 2  # raise when the same options give other files

    def write(self, folder: Path) -> list[Path]:
        rng = np.random.default_rng(self.seed)
        when, users, items = distinct_picks(self.world(rng), self.reviews, lambda n: np.sort(rng.random(n)), rng)
        lines = rng.permutation(self.reviews)  # Yelp's file is in no order of time
        stars = rng.choice(STARS, self.reviews, p=SHARES)
        start, end = np.datetime64("2014-01-01T00:00:00"), np.datetime64("2018-12-31T23:59:59")
        seconds = (when * (end - start).astype(np.int64)).astype(np.int64)
        dates = np.datetime_as_string(start + seconds.astype("timedelta64[s]"))
        file = folder / "yelp_academic_dataset_review.json"
        with file.open("w") as out:
            out.writelines(_lines(users[lines], items[lines], stars, dates[lines]))
        return [file]

    def world(self, rng: np.random.Generator) -> World:
        crowd = crowd_of(self.users, self.drift, rng, from_start=0.3, stay=0.4)
        offer = Offer(
            genre=rng.integers(self.drift.genres, size=self.items),
            appeal=popularity(self.items, 1.0, rng),
            born=self._births(rng),
            life=self.life * popularity(self.items, 0.5, rng),
        )
        return World(crowd, offer, steps=200)

    def _births(self, rng: np.random.Generator) -> Floats:
        """When items open; old ones are of any age up to `life`.  # [items]"""
        old = rng.random(self.items) >= self.new_items
        return np.where(old, -self.life * rng.random(self.items), rng.random(self.items))


def _lines(users: Ints, items: Ints, stars: Floats, dates: npt.NDArray[np.str_]) -> Iterator[str]:
    reviews = zip(users.tolist(), items.tolist(), stars.tolist(), dates.tolist(), strict=True)
    for n, (user, item, rating, date) in enumerate(reviews):
        yield (
            f'{{"review_id":"r{n:021d}","user_id":"u{user:021d}","business_id":"b{item:021d}","stars":{rating},'
            f'"useful":0,"funny":0,"cool":0,"text":"A generated review.","date":"{date[:10]} {date[11:]}"}}\n'
        )
