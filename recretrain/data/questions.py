"""What is asked of a period: its interactions one by one, the prefixes of its sessions, or its users as episodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from recretrain.data.candidates import Ints, stored_candidates
from recretrain.data.prefixes import PAD, Prefixes, by_user, prefixes_of
from recretrain.data.stream import Interactions, Ragged, Stream, TestSet, concatenate
from recretrain.errors import DataError


@dataclass(frozen=True)
class Arrivals:
    """Every interaction is a question; groups mark ids unseen before the period."""

    candidates: int | None  # drawn for each question; None: none are needed
    whole_catalogue: bool  # rank among all items known by the period instead
    history: int | None  # last items that the user had before the period, given along; None: none
    seed: int  # of the candidates

    def __call__(self, stream: Stream, period: int) -> TestSet:
        rows = stream.interactions(period)
        test = TestSet(
            period,
            rows.user,
            rows.item,
            groups={
                "new_user": stream.user_first[rows.user] == period,
                "new_item": stream.item_first[rows.item] == period,
            },
        )
        if self.candidates is not None:
            test = replace(test, candidates=self._stored_candidates(stream, period, self.candidates))
        if not self.whole_catalogue and self.history is None:
            return test
        history = [stream.interactions(p) for p in range(period)]
        before = seen_before(rows.user, concatenate(history)) if history else None
        if self.history is not None:
            test = replace(test, context={"history": _latest(before, rows.user, self.history)})
        return replace(test, catalogue=stream.known_items(period), seen=before) if self.whole_catalogue else test

    def _stored_candidates(self, stream: Stream, period: int, count: int) -> Tensor:
        drawn = stored_candidates(stream.folder, period, count, self.seed, lambda: _until(stream, period))
        return torch.from_numpy(drawn)


@dataclass(frozen=True)
class SessionPrefixes:
    """ADER's questions (spec a): rows of items that are new in the period are deleted, then sessions of one row."""

    history: int  # last items of the prefix

    def __call__(self, stream: Stream, period: int) -> TestSet:
        rows = stream.interactions(period)
        rows = by_user(rows.rows(stream.item_first[rows.item] < period))
        prefixes = prefixes_of(rows).with_input()
        return TestSet(
            period,
            rows.user[prefixes.stop],
            prefixes.labels,
            catalogue=stream.known_items(period - 1),
            context={"history": prefixes.histories(self.history).to(torch.int32)},
        )


def seen_before(user: Tensor, history: Interactions) -> Ragged:
    """For each question, the items its user has in `history`."""
    order = torch.argsort(history.user, stable=True)
    sorted_users = history.user[order]
    first = torch.searchsorted(sorted_users, user)
    length = torch.searchsorted(sorted_users, user, right=True) - first
    offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
    within = torch.arange(int(offsets[-1])) - torch.repeat_interleave(offsets[:-1], length)
    return Ragged(offsets, history.item[order[torch.repeat_interleave(first, length) + within]])


def _until(stream: Stream, period: int) -> tuple[Ints, Ints, int]:
    history = concatenate([stream.interactions(p) for p in range(period + 1)])
    start = len(history) - int(stream.card["periods"][period]["rows"])
    return history.user.numpy(), history.item.numpy(), start


def _latest(before: Ragged | None, user: Tensor, longest: int) -> Tensor:
    if before is None:
        return torch.full((len(user), 1), PAD, dtype=torch.int32)
    return Prefixes(before.values, before.offsets[:-1], before.offsets[1:], user).histories(longest).to(torch.int32)


@dataclass(frozen=True)
class Episodes:
    """Each user with a fitting number of ratings is a question: some support a guess, the others are to be guessed.

    `candidates` are the items to rate and `labels` their ratings, [U, queries] both; the context holds the support:
    `support_item` [U, S], -1 after the last, and `support_rating`.
    """

    shortest: int  # ratings of a user in the period, at least
    longest: int  # and at most
    queries: int  # ratings to be guessed
    split: str  # random: any of them (MeLU) | in_time: the last ones, so that none precedes its support
    users: str  # all | new: those whose first rating is in the period
    supports: tuple[int, ...]  # lengths at which a new group of support lengths begins
    seed: int  # of the split

    def __post_init__(self) -> None:
        if self.split not in ("random", "in_time"):
            raise ValueError(f"eval.split={self.split}: give random or in_time")
        if self.users not in ("all", "new"):
            raise ValueError(f"eval.users={self.users}: give all or new")
        if not 0 < self.queries < self.shortest <= self.longest:
            raise ValueError(
                f"eval.queries={self.queries}, shortest={self.shortest}, longest={self.longest}: they must rise, "
                "so that every user has a support"
            )

    def __call__(self, stream: Stream, period: int) -> TestSet:
        rows = stream.interactions(period)
        if "rating" not in rows.other:
            raise DataError(f"{stream.name} has no ratings; episodes need data with a rating")
        if self.users == "new":
            rows = rows.rows(stream.user_first[rows.user] == period)
        count = torch.bincount(rows.user, minlength=stream.n_users)[rows.user]
        rows = rows.rows((count >= self.shortest) & (count <= self.longest))
        if not len(rows):
            raise DataError(
                f"period {period} of {stream.name} has no user with {self.shortest} to {self.longest} ratings; "
                "lower eval.shortest or cut the data into fewer periods"
            )
        return self._split(rows, period)

    def _split(self, rows: Interactions, period: int) -> TestSet:
        if self.split == "random":
            shuffle = torch.Generator().manual_seed(self.seed * 1000 + period)
            rows = rows.rows(torch.randperm(len(rows), generator=shuffle))
        rows = by_user(rows)
        user, count = torch.unique_consecutive(rows.user, return_counts=True)
        stop = count.cumsum(0)
        asked = stop.unsqueeze(1) + torch.arange(-self.queries, 0)
        given = (stop - count).unsqueeze(1) + torch.arange(int(count.max()) - self.queries)
        there = given < (stop - self.queries).unsqueeze(1)
        given = given.clamp(max=len(rows) - 1)
        rating = rows.other["rating"]
        return TestSet(
            period,
            user,
            labels=rating[asked],
            candidates=rows.item[asked],
            groups=self._by_support(count - self.queries),
            context={
                "support_item": torch.where(there, rows.item[given], PAD),
                "support_rating": torch.where(there, rating[given], 0.0),
            },
        )

    def _by_support(self, length: Tensor) -> dict[str, Tensor]:
        borders = [*self.supports, self.longest - self.queries + 1]
        spans = list(pairwise(borders))
        return {f"support {a}-{b - 1}": (length >= a) & (length < b) for a, b in spans}


def supports_of(episodes: TestSet) -> Interactions:
    """All that is given, row by row, with `rating`."""
    item, rating = episodes.context["support_item"], episodes.context["support_rating"]
    there = item >= 0
    return Interactions(episodes.user.repeat_interleave(there.sum(1)), item[there], {"rating": rating[there]})


def queries_of(episodes: TestSet) -> Interactions:
    """All that is to be guessed, row by row, with `rating`."""
    assert episodes.candidates is not None
    user = episodes.user.repeat_interleave(episodes.labels.shape[1])
    return Interactions(user, episodes.candidates.flatten(), {"rating": episodes.labels.flatten()})
