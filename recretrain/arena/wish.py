"""What a user asks of the arena: `data=yelp2019 budget=30m methods=sml,fine_tune trials=5`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from recretrain.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600}
OWN = ("methods", "budget", "trials", "seeds", "metric")


@dataclass(frozen=True)
class Wish:
    words: Sequence[str]  # overrides of every run
    methods: Sequence[str] | None  # None: all that fit
    seconds: float  # that all runs together may take, about
    trials: int | None  # of each method; None: as many as the time allows
    seeds: int  # of the final runs, at most
    metric: str | None  # such as recall@20; None: the arena's choice


def wish_of(words: Sequence[str]) -> Wish:
    """Tell the arena's own words from overrides. Raises ConfigError for a value that it cannot read."""
    own = {key: word.partition("=")[2] for word in words if (key := word.partition("=")[0]) in OWN}
    methods = own.get("methods", "auto")
    return Wish(
        words=[word for word in words if word.partition("=")[0] not in OWN],
        methods=None if methods == "auto" else methods.split(","),
        seconds=_seconds(own.get("budget", "30m")),
        trials=_count("trials", own["trials"]) if "trials" in own else None,
        seeds=_count("seeds", own.get("seeds", "3")),
        metric=own.get("metric"),
    )


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if found is None or not float(found[1]):
        raise ConfigError(f"budget={text} is no time; write 90s, 30m or 2h")
    return float(found[1]) * _UNITS[found[2]]


def _count(key: str, text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"{key}={text} must be a whole number from 1 on")
    return int(text)
