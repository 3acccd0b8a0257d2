"""Makers of questions: a period's interactions one by one, the prefixes of its sessions, or its users' ratings.

Each keeps the contract of `stream.Asks`: the class of its test sets, a card by which runs are known to have been
asked the same, and a call that makes the questions about a period.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from recretrain.data.by_user import PlainPast, items_before, rows_by_user
from recretrain.data.candidates import History, HistoryPast, brings_candidates, stored_candidates
from recretrain.data.counted import Counted, Past
from recretrain.data.interactions import PAD, Interactions, Ragged, concatenate
from recretrain.data.kinds import Histories, Rankings, Ratings, Support, SupportedRatings
from recretrain.data.prefixes import Prefixes, by_sequence, by_user, prefixes_of
from recretrain.data.repeats import again, had_before
from recretrain.data.stream import Stream
from recretrain.errors import ConfigError, DataError
from recretrain.values import AtLeast0, AtLeast1

Card = dict[str, Any]


class GivesHistories(ABC):
    """A maker of questions that can say what a user's history would be, without a question of theirs."""

    history: int | None  # last items that are given along; None: the last one alone

    @abstractmethod
    def space_before(self, stream: Stream, period: int) -> int:
        """The space of the items in the histories of questions about `period`."""

    def histories(self, stream: Stream, period: int, rows: Interactions, user: Tensor) -> Tensor:
        """The last items of each user among `rows`, as a question about `period` gives them.  # [Q, T] int32"""
        return latest(stream.of_space(rows, self.space_before(stream, period)), user, self.history or 1)


@dataclass(frozen=True, kw_only=True)
class Arrivals(GivesHistories):
    """Every interaction is a question; groups mark ids that were unseen before the period and, where data hold pairs
    twice, items that the user had before it (`again`) or had not (`first_time`).

    Items that the user had are `left_out` of what is ranked against the label, as released. Then a label that the user
    had is the only such item, and whoever knows that ranks it first; `offered` ranks it against the others.
    """

    candidates: AtLeast1 | None  # drawn for each question; None: none are needed
    catalogue: Literal["sampled", "full"]  # rank among the candidates, or among all items known by the period
    history: AtLeast1 | None  # last items that the user had before, given along; None: none
    history_space: str | None  # the space of those items; None: that of the period
    had: Literal["left_out", "offered"]  # items that the user had before
    seed: AtLeast0  # of the candidates
    draws: Literal["stored", "counted"]  # candidates on disk, or made by counter when they are looked at: other ones

    def __post_init__(self) -> None:
        if self.catalogue == "sampled" and self.candidates is None:
            raise ConfigError(
                "eval.questions.catalogue=sampled needs eval.questions.candidates; give a number, or "
                "eval.questions.catalogue=full"
            )

    @property
    def kind(self) -> type[Rankings]:
        return Rankings if self.history is None else Histories

    def card(self) -> Card:
        of_these = {} if self.had == "left_out" else {"had": self.had}
        among = "" if self.had == "left_out" else ", items had before too"
        if self.catalogue == "full":
            text = f"whole catalogue{among}"
            return {"kind": "interactions", "text": text, "unit": "questions", "catalogue": "full", **of_these}
        return {
            "kind": "interactions",
            "text": f"1 + {self.candidates} candidates{among}",
            "unit": "questions",
            "catalogue": "sampled",
            "candidates": self.candidates,
            "seed": self.seed,
            **({"draws": "counted"} if self.draws == "counted" else {}),
            **of_these,
        }

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> Rankings:
        asked = stream.positions(period, part)
        rows = stream.interactions(period).rows(asked)
        whole = self.catalogue == "full"
        columns: dict[str, Any] = {
            "candidates": self._candidates(stream, period, asked) if self.candidates is not None else None,
            "catalogue": stream.known_items(period) if whole else None,
            "groups": {
                "new_user": stream.user_first[rows.user] == period,
                "new_item": stream.item_first[rows.item] == period,
                **_by_repeat(again(stream, period, part)),
            },
        }
        if whole and self.had == "left_out":
            columns["seen"] = _had(stream, period, rows.user, lambda: had_before(stream, period, part))
        if self.history is None:
            return Rankings(period=period, user=rows.user, labels=rows.item, **columns)
        space = self.space_before(stream, period)
        before = _had(stream, period, rows.user, lambda: stream.before(period, space))
        history = _last(before, rows.user, self.history)
        return Histories(period=period, user=rows.user, labels=rows.item, history=history, **columns)

    def space_before(self, stream: Stream, period: int) -> int:
        return stream.space(period) if self.history_space is None else stream.space_named(self.history_space)

    def check(self, stream: Stream, periods: Sequence[int]) -> None:
        """See `stream.Foresees`. Candidates are drawn only where they might be too few, and then kept for later."""
        if self.candidates is None:
            return
        had, counted = torch.zeros(stream.n_users, dtype=torch.long), 0
        for period in periods:
            for later in range(counted, period + 1):
                had += stream.rows_of_users(later)
            counted = period + 1
            few = stream.items_before(period) - int(had.max()) < self.candidates
            if few and isinstance(drawn := self._drawn(stream, period), Counted):
                drawn.check()

    def _candidates(self, stream: Stream, period: int, asked: Tensor | slice) -> Tensor | Counted:
        """Those of the questions at some positions of the period."""
        drawn = self._drawn(stream, period)
        return drawn.at(asked) if isinstance(drawn, Counted) else drawn[asked]

    def _drawn(self, stream: Stream, period: int) -> Tensor | Counted:
        assert self.candidates is not None
        had_too = self.had == "offered"
        if self.draws == "counted" and not brings_candidates(stream.folder, period):
            past = _past(stream, period, had_too=had_too)
            rows = np.arange(len(stream.interactions(period)))
            return Counted(past, self.seed, period, self.candidates, rows, torch.device("cpu"))
        drawn = stored_candidates(
            stream.folder,
            period,
            self.candidates,
            self.seed,
            lambda: _until(stream, period),
            had_too=had_too,
        )
        return torch.from_numpy(drawn)


@dataclass(frozen=True, kw_only=True)
class SessionPrefixes(GivesHistories):
    """Every prefix of every session predicts its next item among all items known before the period (ader.md, a).

    Rows of items that are new in the period are deleted, then sessions of one row.
    """

    history: AtLeast1 | None  # last items of the prefix; None: the last one alone

    @property
    def kind(self) -> type[Histories]:
        return Histories

    def card(self) -> Card:
        unit = "questions (prefixes of sessions)"
        return {"kind": "prefixes", "text": "whole catalogue", "unit": unit, "catalogue": "full"}

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> Histories:
        rows = stream.interactions(period, part)
        rows = by_sequence(rows.rows(stream.item_first[rows.item] < period))
        prefixes = prefixes_of(rows).with_input()
        known = stream.known_items(period)
        return Histories(
            period=period,
            user=rows.user[prefixes.stop],
            labels=prefixes.labels,
            catalogue=known[stream.item_first[known] < period],
            history=prefixes.histories(self.history or 1).to(torch.int32),
        )

    def space_before(self, stream: Stream, period: int) -> int:
        return stream.space(period)


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """Each user with a fitting number of ratings is a question: some are given, `queries` others are to be guessed."""

    shortest: AtLeast1  # ratings of a user in the period, at least
    longest: AtLeast1  # and at most
    queries: AtLeast1  # ratings to be guessed
    split: Literal["random", "in_time"]  # any of them (MeLU), or the last ones: none precedes its support
    users: Literal["all", "new"]  # new: those whose first rating is in the period
    supports: Sequence[AtLeast0]  # lengths at which a new group of support lengths begins
    seed: AtLeast0  # of the split

    def __post_init__(self) -> None:
        if not self.queries < self.shortest <= self.longest:
            raise ConfigError(
                f"eval.questions.queries={self.queries}, shortest={self.shortest}, longest={self.longest}: they must "
                "rise, so that every user has a support"
            )

    @property
    def kind(self) -> type[SupportedRatings]:
        return SupportedRatings

    def card(self) -> Card:
        users = "new users" if self.users == "new" else "users"
        split = self.split.replace("_", " ")
        return {
            "kind": "episodes",
            "text": f"{self.queries} of {self.shortest}-{self.longest} ratings of {users}, split {split}",
            "unit": "questions (users)",
            "shortest": self.shortest,
            "longest": self.longest,
            "queries": self.queries,
            "split": self.split,
            "users": self.users,
            "seed": self.seed,
        }

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> SupportedRatings:
        rows = rated_rows(stream, period, part)
        if self.users == "new":
            rows = rows.rows(stream.user_first[rows.user] == period)
        count = torch.bincount(rows.user, minlength=stream.n_users)[rows.user]
        rows = rows.rows((count >= self.shortest) & (count <= self.longest))
        if not len(rows):
            raise DataError(
                f"period {period} of {stream.name} has no user with {self.shortest} to {self.longest} ratings; "
                "lower eval.questions.shortest or cut the data into fewer periods"
            )
        return self._split(rows, period)

    def _split(self, rows: Interactions, period: int) -> SupportedRatings:
        if self.split == "random":
            shuffle = torch.Generator().manual_seed(self.seed * 1000 + period)
            rows = rows.rows(torch.randperm(len(rows), generator=shuffle))
        rows = by_user(rows)
        user, count = torch.unique_consecutive(rows.user, return_counts=True)
        stop = count.cumsum(0)
        asked = stop.unsqueeze(1) + torch.arange(-self.queries, 0)
        given = (stop - count).unsqueeze(1) + torch.arange(int(count.max()) - self.queries)
        inside = given < (stop - self.queries).unsqueeze(1)
        given = given.clamp(max=len(rows) - 1)
        rating = rows.other["rating"]
        support = Support(torch.where(inside, rows.item[given], PAD), torch.where(inside, rating[given], 0.0))
        return SupportedRatings(
            period=period,
            user=user,
            labels=rating[asked],
            items=rows.item[asked],
            groups=self._by_support(count - self.queries),
            support=support,
        )

    def _by_support(self, length: Tensor) -> dict[str, Tensor]:
        borders = [*self.supports, self.longest - self.queries + 1]
        spans = list(pairwise(borders))
        return {f"support {a}-{b - 1}": (length >= a) & (length < b) for a, b in spans}


@dataclass(frozen=True, kw_only=True)
class ColdRatings:
    """Every rating is a question of its own; nothing of its user's ratings is given."""

    @property
    def kind(self) -> type[Ratings]:
        return Ratings

    def card(self) -> Card:
        return {"kind": "ratings", "text": "every rating", "unit": "ratings"}

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> Ratings:
        rows = rated_rows(stream, period, part)
        return Ratings(
            period=period,
            user=rows.user,
            labels=rows.other["rating"].unsqueeze(1),
            items=rows.item.unsqueeze(1),
            groups={
                "new_user": stream.user_first[rows.user] == period,
                "new_item": stream.item_first[rows.item] == period,
            },
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


def _had(stream: Stream, period: int, user: Tensor, history: Callable[[], Interactions]) -> Ragged:
    """For each user, the items in earlier periods: by rows that are sorted by user, or of what `history` gives."""
    by_user = rows_by_user(stream)
    return seen_before(user, history()) if by_user is None else items_before(by_user, user, period)


def rated_rows(stream: Stream, period: int, part: str | None) -> Interactions:
    """The rows of a part. Raises DataError where they have no ratings."""
    rows = stream.interactions(period, part)
    if "rating" not in rows.other:
        raise DataError(f"{stream.name} has no ratings; these questions need data with a rating")
    return rows


def _by_repeat(again: Tensor | None) -> dict[str, Tensor]:
    """The groups of items had before and not; none where no question is about an item had before."""
    return {} if again is None or not bool(again.any()) else {"again": again, "first_time": ~again}


def _past(stream: Stream, period: int, *, had_too: bool) -> Past:
    """What was before each row of a period: by the rows of its users alone, where the stream is plain."""
    by_user, asked = rows_by_user(stream), stream.interactions(period)
    if by_user is None or not _in_order(stream, period, asked.item):
        return HistoryPast(_until(stream, period), had_too=had_too)
    return PlainPast(by_user, asked, period, stream.items_before(period), had_too=had_too)


def _in_order(stream: Stream, period: int, item: Tensor) -> bool:
    """Whether ids are in the order in which items appeared: those before the period, then those of its rows."""
    before = stream.items_before(period)
    newest = torch.cat([torch.tensor([before - 1]), item]).cummax(0).values
    return bool((stream.item_first[:before] < period).all()) and bool((newest.diff() <= 1).all())


def _until(stream: Stream, period: int) -> History:
    """The rows of the period's space up to its end."""
    before, own = stream.before(period, stream.space(period), context=False), stream.interactions(period)
    history = concatenate([before, own])
    parts = stream.parts(period).numpy().astype(np.int64) if stream.has_parts(period) else None
    return History(history.user.numpy(), history.item.numpy(), len(before), parts)


def latest(history: Interactions, user: Tensor, longest: int) -> Tensor:
    """The last items of each user, the newest in the last column, PAD before the first.  # [Q, T] int32"""
    return _last(seen_before(user, history), user, longest)


def _last(before: Ragged, user: Tensor, longest: int) -> Tensor:
    return Prefixes(before.values, before.offsets[:-1], before.offsets[1:], user).histories(longest).to(torch.int32)
