"""A run as a report sees it: its card, its configuration and the figures of its finished tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recretrain.records import RunCard

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, order=True)
class Asked:
    """The questions of a run and the data they are about: runs share a table if and only if these are equal."""

    data: str
    source: str  # raw | synthetic
    questions: str  # their card as JSON with sorted keys: equal cards are equal texts
    digest: str  # of the prepared data
    choosing: tuple[int, ...]  # periods
    tested: tuple[int, ...]

    @classmethod
    def of(cls, card: RunCard) -> Asked:
        questions = json.dumps(card["asked"], sort_keys=True)
        periods = (tuple(card["choosing"]), tuple(card["tested"]))
        return cls(card["data"], card["data_source"], questions, card["data_digest"], *periods)

    @property
    def card(self) -> Mapping[str, Any]:
        """The card of the questions: `kind`, `text`, `unit`, and whatever tells them from others of their kind."""
        card: dict[str, Any] = json.loads(self.questions)
        return card

    def periods(self, test: str) -> tuple[int, ...]:
        return self.choosing if test == "choosing" else self.tested

    @property
    def synthetic(self) -> bool:
        return self.source == "synthetic"

    @property
    def name(self) -> str:
        """Six letters that are the same for equal questions, for the names of files."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:6]


@dataclass(frozen=True, eq=False)
class Run:
    folder: Path
    card: RunCard  # run.json
    config: Mapping[str, Any]  # config.yaml
    done: int  # tasks
    rows: pd.DataFrame  # the columns of records.Row
    costs: pd.DataFrame  # the columns of records.Costs
    damage: str | None = None  # of a file that the figures come from

    @cached_property
    def asked(self) -> Asked:
        return Asked.of(self.card)

    @property
    def method(self) -> str:
        return self.card["method"]

    @property
    def variant(self) -> str:
        """The digest without the seed, and the method: two methods may be set to the same."""
        return f"{self.card['variant']}-{self.method}"

    @property
    def seed(self) -> int:
        return self.card["seed"]

    @property
    def overrides(self) -> tuple[str, ...]:
        return tuple(self.card["overrides"])

    @property
    def complete(self) -> bool:
        return self.done >= self.card["tasks"]

    def shortfall(self) -> str:
        """One line on why this run is in no table."""
        if self.damage is not None:
            return f"{self.damage}; delete {self.folder} and repeat its command"
        text = f"{self.folder}: {self.done} of {self.card['tasks']} tasks"
        error = self.folder / "error.txt"
        lines = error.read_text().strip().splitlines() if error.is_file() else []
        return f"{text}; failed: {lines[-1]}" if lines else text


RowOf = Callable[[Run], str | None]  # the row of a table that a run stands in; None: in none


def method_of(run: Run) -> str | None:
    return run.method


def key_of(override: str) -> str:
    """The key of the configuration that an override sets: `method.pretraining` of `pretraining@method.pretraining=mf`.

    A choice without a package, such as `schedule=months`, is a key of its own.
    """
    return override.lstrip("+~").partition("=")[0].rpartition("@")[2]


def value_of(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; None where the configuration has no such key."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def within(key: str, places: tuple[str, ...]) -> bool:
    """Whether a key is one of `places` or below it."""
    return any(key == place or key.startswith(f"{place}.") for place in places)
