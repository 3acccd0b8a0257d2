"""A wish is what to recommend to whom, in raw ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from recretrain.errors import ConfigError

Whom = Iterable[Any] | Literal["all"]
_WAYS = ("users", "history", "support")  # to say to whom


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One of `users`, `history` and `support` says to whom."""

    users: Whom | None = None  # raw ids; all: those met by the last learned period
    history: pd.DataFrame | None = None  # columns session (or user) and item: rows of each in order, the newest last
    support: pd.DataFrame | None = None  # columns user, item and rating: those that each user has given
    k: int = 20  # items for each, at most
    candidates: Iterable[Any] | None = None  # raw ids to choose from; None: the items met by the last learned period
    exclude_seen: bool = False  # leave out what a user had in the learned periods, and in history or support
    skip_unknown: bool = False  # leave unknown users and items out; otherwise they are an error

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"k={self.k} must be at least 1")
        given = [way for way in _WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            said = f"{' and '.join(given)} both do" if given else "nothing does"
            raise ConfigError(f"one of users, history and support must say to whom to recommend; {said}: give one")
        for name in ("users", "candidates"):
            value = getattr(self, name)
            if isinstance(value, str) and not (name == "users" and value == "all"):
                raise ConfigError(f"{name}={value!r} is one text; give a list of raw ids, such as {name}=[{value!r}]")
