"""A wish becomes questions of the kind that the run was asked, about the period that comes next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from recretrain.data.interactions import PAD, Interactions, Ragged
from recretrain.data.kinds import ColdUserRatings, Histories, Rankings, Ratings, Support, SupportedRatings, TestSet
from recretrain.data.questions import GivesHistories, seen_before
from recretrain.errors import ConfigError, DataError
from recretrain.serving.identities import distinct
from recretrain.serving.opened import Opened
from recretrain.serving.wishes import Wish

_PROBES = 4  # users by whom it is seen whether a method looks at who asks


@dataclass(frozen=True)
class Tomorrow:
    """Questions without answers, and what they are about."""

    test: TestSet  # [Q]
    names: pd.Series[Any]  # raw ids of the users or sessions, [Q]
    items: Tensor  # [I] int64, ascending: those to choose from
    left_out: Ragged | None  # [Q] items that are not to be recommended


@dataclass(frozen=True)
class _Asking:
    """To whom, and the rows that are given along."""

    user: Tensor  # [Q] numbers that the method knows them by
    names: pd.Series[Any]
    place: Tensor  # [Q] their numbers in `rows`
    rows: Interactions


def tomorrow(run: Opened, wish: Wish) -> Tomorrow:
    """The questions that answer a wish. Raises ConfigError where the run's kind of questions cannot."""
    items = run.catalogue if wish.candidates is None else _candidates(run, wish.candidates, wish.skip_unknown)
    asking = _asking(run, wish)
    left_out = seen_before(asking.place, asking.rows) if wish.exclude_seen else None
    return Tomorrow(_questions(run, asking), asking.names, items, left_out)


def _candidates(run: Opened, candidates: Iterable[Any], skip_unknown: bool) -> Tensor:
    found = run.items.found(distinct(candidates), skip_unknown=skip_unknown)
    return torch.sort(found.numbers).values


def _asking(run: Opened, wish: Wish) -> _Asking:
    if wish.history is not None:
        return _sessions(run, wish.history, wish.skip_unknown)
    if wish.support is not None:
        return _supported(run, wish.support, wish.skip_unknown)
    assert wish.users is not None
    if isinstance(wish.users, str):
        user = torch.nonzero(run.met).squeeze(1)
    else:
        user = run.users.found(distinct(wish.users), skip_unknown=wish.skip_unknown).numbers
    looked_at = wish.exclude_seen or issubclass(run.kind, Histories | SupportedRatings)
    rows = run.known(user) if looked_at else _nothing()
    return _Asking(user, run.users.raw(user), user, rows)


def _sessions(run: Opened, history: pd.DataFrame, skip_unknown: bool) -> _Asking:
    if not issubclass(run.kind, Histories):
        raise ConfigError(f"{_name(run)} is asked for {run.kind.words} and looks at no history; name users instead")
    owner = next((name for name in ("session", "user") if name in history.columns), "session")
    _check_columns("history", history, (owner, "item"))
    before = run.items_of(_histories_of(run).space_before(run.stream, run.period))
    items = before.found(list(history["item"]), skip_unknown=skip_unknown)
    rows = history.iloc[list(items.places)]
    place = torch.from_numpy(pd.factorize(rows[owner].map(str))[0])
    names = distinct(rows[owner])
    given = Interactions(place, items.numbers)
    user, kept = _users_of(run, names, given, skip_unknown)
    return _Asking(user, pd.Series([names[one] for one in kept.tolist()]), kept, given)


def _users_of(run: Opened, names: Sequence[Any], given: Interactions, skip_unknown: bool) -> tuple[Tensor, Tensor]:
    """The number of each session's user, and which sessions can be answered: all, if nobody looks at the user."""
    everyone = torch.arange(len(names))
    if _looks_at_users(run, _histories(run, given, everyone[:1])):
        found = run.users.found(names, skip_unknown=skip_unknown)
        return found.numbers, torch.tensor(found.places)
    return torch.zeros_like(everyone), everyone


def _looks_at_users(run: Opened, history: Tensor) -> bool:
    """Whether one history has other scores if another user has it."""
    users = torch.linspace(0, run.stream.n_users - 1, _PROBES).long()
    asked = [Histories(period=run.period + 1, user=one, labels=one, history=history) for one in torch.split(users, 1)]
    scores = [run.scores(test, slice(0, 1), run.catalogue) for test in asked]
    return any(not torch.equal(scores[0], other) for other in scores[1:])


def _supported(run: Opened, support: pd.DataFrame, skip_unknown: bool) -> _Asking:
    if not issubclass(run.kind, SupportedRatings):
        raise ConfigError(f"{_name(run)} is asked for {run.kind.words} and takes no support; name users instead")
    _check_columns("support", support, ("user", "item", "rating"))
    rated = pd.to_numeric(support["rating"], errors="coerce").astype("float32")
    wrong = support["rating"][rated.isna()]
    if len(wrong):
        raise DataError(f"the support has a rating {wrong.iloc[0]!r}, which is no number; mend or remove it")
    items = run.items.found(list(support["item"]), skip_unknown=skip_unknown)
    rows, rating = support.iloc[list(items.places)], torch.from_numpy(rated.to_numpy(copy=True))[list(items.places)]
    users = run.users.found(list(rows["user"]), skip_unknown=skip_unknown)
    at = torch.tensor(users.places)
    given = Interactions(users.numbers, items.numbers[at], {"rating": rating[at]})
    user = torch.tensor(list(dict.fromkeys(users.numbers.tolist())))
    return _Asking(user, run.users.raw(user), user, given)


def _questions(run: Opened, asking: _Asking) -> TestSet:
    period, user = run.period + 1, asking.user
    nobody = torch.zeros_like(user)
    if issubclass(run.kind, Histories):
        history = _histories(run, asking.rows, asking.place)
        return Histories(period=period, user=user, labels=nobody, history=history)
    if issubclass(run.kind, Rankings):
        return Rankings(period=period, user=user, labels=nobody)
    rated, items = torch.zeros(len(user), 0), torch.zeros(len(user), 0, dtype=torch.long)
    if issubclass(run.kind, SupportedRatings):
        support = support_of(asking.rows, user)
        return SupportedRatings(period=period, user=user, labels=rated, items=items, support=support)
    if issubclass(run.kind, Ratings):
        kind = ColdUserRatings if issubclass(run.kind, ColdUserRatings) else Ratings
        return kind(period=period, user=user, labels=rated, items=items)
    raise ConfigError(
        f"{_name(run)} is asked for {run.kind.words}, and none can be made without a period to ask about; its "
        "questions must be Rankings or Ratings (recretrain.data.kinds), or a kind derived from them"
    )


def _histories(run: Opened, rows: Interactions, user: Tensor) -> Tensor:
    return _histories_of(run).histories(run.stream, run.period, rows, user)


def _histories_of(run: Opened) -> GivesHistories:
    if not isinstance(run.asks, GivesHistories):
        raise ConfigError(
            f"{type(run.asks).__name__} does not say how a history is made of rows; derive it from "
            "recretrain.data.questions.GivesHistories"
        )
    return run.asks


def support_of(rows: Interactions, user: Tensor) -> Support:
    """All ratings of each user among `rows`, in order.  # [Q] -> [Q, S]; Raises DataError where they have none."""
    if "rating" not in rows.other:
        raise DataError("the learned periods have no ratings to take a support from; give one")
    at = seen_before(user, Interactions(rows.user, torch.arange(len(rows))))
    width = max(1, int(torch.diff(at.offsets).max()))
    if not len(at.values):
        return Support(torch.full((len(user), 1), PAD), torch.zeros(len(user), 1))
    position = at.offsets[:-1].unsqueeze(1) + torch.arange(width)
    inside = position < at.offsets[1:].unsqueeze(1)
    row = at.values[position.clamp(max=len(at.values) - 1)]
    rating = rows.other["rating"].float()
    return Support(torch.where(inside, rows.item[row], PAD), torch.where(inside, rating[row], 0.0))


def _nothing() -> Interactions:
    nobody = torch.zeros(0, dtype=torch.long)
    return Interactions(nobody, nobody)


def _check_columns(what: str, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in frame.columns:
            raise DataError(
                f"the {what} has no column {column!r}, but {', '.join(map(str, frame.columns))}; it needs "
                f"{', '.join(columns)}"
            )
    if not len(frame):
        raise DataError(f"the {what} has no rows; give at least one")


def _name(run: Opened) -> str:
    return f"{type(run.method).__name__} of {run.folder}"
