"""Logs of single events, and the filters that all of them know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recretrain.preparation.sources.base import Deletion, Source
from recretrain.preparation.sql import rare
from recretrain.values import AtLeast0

LATER_OF_A_PAIR = """row IN (
    SELECT row FROM (
        SELECT row, row_number() OVER (PARTITION BY "user", item ORDER BY time, row) AS nth FROM interactions
    ) WHERE nth > 1
)"""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Filters of events, made in this order: rating, those of the source, users, items, core, repeats."""

    min_rating: float | None  # drop ratings below
    min_user_interactions: AtLeast0  # one pass, users first; 0: off
    min_item_interactions: AtLeast0  # one pass, after the users; 0: off
    k_core: AtLeast0  # users and items both, until no row is removed; 0: off
    repeats: Literal["keep", "first", "error"]  # a (user, item) pair again
    nulls: Literal["error", "drop"]  # a row with a missing value

    def before_check(self) -> list[Deletion]:
        """Deletions made before rows with missing values are an error."""
        if self.min_rating is None:
            return []
        return [Deletion(f"min_rating={self.min_rating:g}", f"rating < {float(self.min_rating)}")]

    def after_check(self) -> list[Deletion]:
        least = {"user": self.min_user_interactions, "item": self.min_item_interactions}
        found = [Deletion(f"min_{kind}_interactions={n}", rare(kind, n)) for kind, n in least.items() if n]
        if self.k_core:
            both = f"{rare('user', self.k_core)} OR {rare('item', self.k_core)}"
            found.append(Deletion(f"k_core={self.k_core}", both, until_stable=True))
        if self.repeats == "first":
            found.append(Deletion("repeats=first", LATER_OF_A_PAIR))
        return found


@dataclass(frozen=True, kw_only=True)
class EventSource(Source):
    """A log of single events."""

    filters: Filters

    @property
    def drops_nulls(self) -> bool:
        return self.filters.nulls == "drop"

    @property
    def repeats_are_errors(self) -> bool:
        return self.filters.repeats == "error"

    def cure(self, column: str) -> str:
        return f"{super().cure(column)}, or drop and count such rows with data.filters.nulls=drop"

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        return self.filters.before_check()

    def after_check(self, files: Sequence[Path]) -> list[Deletion]:
        return self.filters.after_check()
