"""A small world for generated sessions: walks round circles of like items, whose order slowly changes.

Items of a genre stand on a circle. A session stays in its genre, and the next click is a step ahead of the last, give
or take: its log-probability is an inner product of two items' places, which a soft-max over embeddings can learn. Items
move round at speeds of their own, so that who follows whom changes; new ones appear between the old and are in demand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from recretrain.preparation.synthetic.tastes import Drift, Floats, Ints, popularity
from recretrain.values import AtLeast0, AtLeast1, Share, Within

STEP = 0.1  # of the circle, from a click to the next
GAP = 60.0  # seconds from a click to the next, on average
DAY = 86_400
NOVELTY = 8.0  # how much more a new item is wanted, at first
NEW = 0.03  # of the whole time, in which that falls to 1/e


@dataclass(frozen=True)
class Circles:
    """Items on circles, one a genre. Times are shares of the whole, 0 to 1."""

    place: Floats  # [items] on the circle at the beginning, in turns
    speed: Floats  # [items] turns in the whole time
    sharpness: float  # how closely a click follows the last
    genre: Ints  # [items]
    appeal: Floats  # [items]
    born: Floats  # [items]


@dataclass(frozen=True)
class Walks:
    """The clicks of session after session, those of each in order of time."""

    session: Ints  # [N] 0, 1, ... in order of their beginnings
    item: Ints  # [N]
    began: Floats  # [N] seconds from the start of all to that of the session
    since: Floats  # [N] seconds since the session began


@dataclass(frozen=True, kw_only=True)
class SessionLog:
    """Options of the generators of session logs."""

    days: AtLeast1
    clicks: AtLeast1  # about
    clicks_a_session: Annotated[float, Within(1)]  # mean of a geometric distribution
    items: AtLeast1
    drift: Drift  # of circles of items
    new_items: Share  # of items, that appear during the time
    seed: AtLeast0

    version: ClassVar[int] = 1  # raise when the same options give other files

    def draw(self, rng: np.random.Generator) -> Walks:
        length = rng.geometric(1 / self.clicks_a_session, round(self.clicks / self.clicks_a_session))
        began = np.sort(rng.random(len(length)))
        item = walked(self.circles(rng), began, length, rng)
        first = np.cumsum(length) - length
        session = np.repeat(np.arange(len(length)), length)
        gone = np.cumsum(rng.exponential(GAP, len(item)))
        return Walks(session, item, began[session] * self.days * DAY, gone - gone[first][session])

    def circles(self, rng: np.random.Generator) -> Circles:
        """Draw the items; each genre's first one exists from the beginning."""
        born = np.where(rng.random(self.items) < self.new_items, rng.random(self.items), 0.0)
        born[: self.drift.genres] = 0.0
        return Circles(
            place=rng.random(self.items),
            speed=self.drift.speeds(self.items, 1, rng)[:, 0],
            sharpness=self.drift.sharpness,
            genre=np.arange(self.items) % self.drift.genres,
            appeal=popularity(self.items, 0.7, rng),
            born=born,
        )


def walked(circles: Circles, began: Floats, length: Ints, rng: np.random.Generator) -> Ints:
    """Draw the items of sessions that begin at these times, session after session.  # [sum of length]"""
    items = np.empty((len(length), length.max()), dtype=np.int64)
    genre = rng.choice(circles.genre, len(length))  # a genre as often as it has items
    for kind in range(circles.genre.max() + 1):
        members = np.flatnonzero(circles.genre == kind)
        for click in range(length.max()):
            going = np.flatnonzero((genre == kind) & (length > click))
            last = items[going, click - 1] if click else None
            items[going, click] = members[_draw(_weights(circles, members, began[going], last), rng)]
    return items[np.arange(items.shape[1]) < length[:, None]]


def _weights(circles: Circles, members: Ints, now: Floats, last: Ints | None) -> Floats:
    """Unnormalised probability of each member as the next click.  # [len(now), members]"""
    age = now[:, None] - circles.born[members]
    novelty = 1 + NOVELTY * np.exp(-np.maximum(age, 0.0) / NEW)
    demand = np.where(age >= 0, circles.appeal[members] * novelty, 0.0)
    if last is None:
        return demand
    ahead = circles.place[members] - circles.place[last][:, None] - STEP
    ahead += (circles.speed[members] - circles.speed[last][:, None]) * now[:, None]
    return demand * np.exp(circles.sharpness * (np.cos(2 * np.pi * ahead) - 1))


def _draw(weights: Floats, rng: np.random.Generator) -> Ints:
    """Draw a column for every row in proportion to its weights.  # [rows]"""
    cumulative = np.cumsum(weights, axis=1)
    chosen: Ints = (cumulative <= rng.random((len(weights), 1)) * cumulative[:, -1:]).sum(axis=1)
    return chosen.clip(max=weights.shape[1] - 1)  # rounding may carry the last share beyond the end
