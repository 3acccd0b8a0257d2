"""A small world for generated data: users mix genres and the mix turns; items are born, have their day and fade.

A pick is `genre ~ mix of the user at that time`, then `item ~ popularity within the genre at that time`: a matrix of
low rank, so that factorisation can learn it, and cheap to draw from at any size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from recretrain.errors import DataError
from recretrain.values import AtLeast1, NotNegative, Positive

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How a generated world changes, and how much of it can be learned."""

    genres: AtLeast1
    turn: Positive  # of the whole time, in which a genre's circle is gone round once, about; smaller: faster drift
    sharpness: NotNegative  # 0: there is nothing to learn

    def speeds(self, rows: int, columns: int, rng: np.random.Generator) -> Floats:
        """Draw speeds in turns of the whole time, some against the others: those who agree today part in time."""
        shape = (rows, columns)
        return rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape) / self.turn


@dataclass(frozen=True)
class Crowd:
    """The users of a world. Times are shares of the stream, 0 to 1."""

    phase: Floats  # [users, genres] where each taste stands on its circle at the beginning, in turns
    speed: Floats  # [users, genres] turns of each taste in the whole stream; after a quarter turn it is another taste
    sharpness: float  # how much better the best genres are liked
    activity: Floats  # [users] relative number of picks
    joined: Floats  # [users]
    left: Floats  # [users]


@dataclass(frozen=True)
class Offer:
    """The items of a world. Times are shares of the stream, 0 to 1."""

    genre: Ints  # [items]
    appeal: Floats  # [items] popularity at its best
    born: Floats  # [items]
    life: Floats  # [items] time in which popularity falls to 1/e


@dataclass(frozen=True)
class World:
    crowd: Crowd
    offer: Offer
    steps: int  # within a step nothing changes


def picks(world: World, moments: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw user and item of a pick at each moment (ascending, [N]).  # [N], [N]"""
    borders = np.searchsorted(moments, np.linspace(0, 1, world.steps + 1)[1:-1])
    users = np.empty(len(moments), dtype=np.int64)
    items = np.empty(len(moments), dtype=np.int64)
    for start, stop in pairwise([0, *borders.tolist(), len(moments)]):
        if start < stop:
            now = float(moments[start])
            users[start:stop] = _takers(world.crowd, now, stop - start, rng)
            items[start:stop] = _taken(world.offer, _liking(world.crowd, now, users[start:stop]), now, rng)
    return users, items


def distinct_picks(
    world: World, count: int, moments: Callable[[int], Floats], rng: np.random.Generator
) -> tuple[Floats, Ints, Ints]:
    """Draw `count` picks in order of time, no user picking an item twice.  # [count] each: time, user, item"""
    for surplus in (1.2, 1.8, 3.0, 6.0):
        when = moments(int(count * surplus))
        users, items = picks(world, when, rng)
        _, first = np.unique(users * len(world.offer.genre) + items, return_index=True)
        if len(first) >= count:
            kept = np.sort(rng.choice(first, count, replace=False))
            return when[kept], users[kept], items[kept]
    raise DataError(
        f"{count} picks are more than {len(world.crowd.activity)} users and {len(world.offer.genre)} items give; "
        "generate fewer, or give data.generator more users or items"
    )


def popularity(size: int, skew: float, rng: np.random.Generator) -> Floats:
    """Draw log-normal weights, as counts of users and items tend to be.  # [size]"""
    return np.exp(rng.normal(0.0, skew, size))


def crowd_of(size: int, drift: Drift, rng: np.random.Generator, *, from_start: float, stay: float) -> Crowd:
    """Draw users with tastes: a share of them is there from the start, and they stay for about `stay` of the time."""
    joined = np.where(rng.random(size) < from_start, 0.0, rng.random(size))
    return Crowd(
        phase=rng.random((size, drift.genres)),
        speed=drift.speeds(size, drift.genres, rng),
        sharpness=drift.sharpness,
        activity=popularity(size, 0.7, rng),
        joined=joined,
        left=joined + 0.2 + rng.exponential(stay, size),
    )


def _takers(crowd: Crowd, now: float, count: int, rng: np.random.Generator) -> Ints:
    present = crowd.activity * (crowd.joined <= now) * (now < crowd.left)
    return _choose(np.cumsum(present), rng.random(count))


def _liking(crowd: Crowd, now: float, users: Ints) -> Floats:
    """Unnormalised weight of every genre.  # [len(users), genres]"""
    turns = crowd.phase[users] + now * crowd.speed[users]
    return np.exp(crowd.sharpness * np.cos(2 * np.pi * turns))


def _taken(offer: Offer, liking: Floats, now: float, rng: np.random.Generator) -> Ints:
    """Draw an item for each row of `liking`, [picks, genres].  # [picks]"""
    mix = np.cumsum(liking, axis=1)
    genre = (mix < rng.random((len(mix), 1)) * mix[:, -1:]).sum(axis=1)
    age = now - offer.born
    weight = np.where(age >= 0, offer.appeal * np.exp(-np.maximum(age, 0.0) / offer.life), 0.0)
    by_genre = np.argsort(offer.genre, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[by_genre])])
    first = np.searchsorted(offer.genre[by_genre], np.arange(mix.shape[1] + 1))
    low, high = total[first[genre]], total[first[genre + 1]]
    return by_genre[_choose(total[1:], (low + rng.random(len(mix)) * (high - low)) / total[-1])]


def _choose(cumulative: Floats, shares: Floats) -> Ints:
    """Index whose stretch of `cumulative` holds each share (0 to 1) of the total."""
    chosen: Ints = np.searchsorted(cumulative, shares * cumulative[-1], side="right")
    return chosen.clip(max=len(cumulative) - 1)  # rounding may carry the last share beyond the end
