"""Adressa's news events: one event a line, one file a day (the one-week and the three-month download alike)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from recretrain.errors import DataError
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.events import Filters
from recretrain.preparation.sources.json_events import JsonEvents, read_json
from recretrain.preparation.sql import Connection, Relation
from recretrain.values import AtLeast1

DAY = re.compile(r"\d{8}(\.json)?(\.gz)?")


@dataclass(frozen=True, kw_only=True)
class AdressaFilters(Filters):
    """Filters of events, of which some are of the front page."""

    front_page: Literal["drop", "error"]  # an event without an article

    def before_check(self) -> list[Deletion]:
        own = [Deletion("front_page=drop", "item IS NULL")] if self.front_page == "drop" else []
        return super().before_check() + own


@dataclass(frozen=True, kw_only=True)
class Adressa(JsonEvents):
    """Clicks on articles by readers."""

    filters: AdressaFilters
    days: AtLeast1 | None  # the first so many day files of a folder; null: all of them

    layout: ClassVar[str] = "day files of events (20170101, 20170102, ...), plain or .gz,"

    def files_in(self, place: Path) -> list[Path]:
        if place.is_file():
            return [place]
        files = sorted(f for f in place.glob("*") if DAY.fullmatch(f.name))
        if files and self.days is not None and len(files) < self.days:
            raise DataError(
                f"{place} holds {len(files)} day files, data.days asks for {self.days}; "
                f"get the others, or set data.days={len(files)} and a schedule of as many days"
            )
        return files[: self.days]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        events = read_json(connection, files, ("userId", "id", "time"))
        return events.project("""userId AS "user", nullif(id, '') AS item, TRY_CAST(time AS DOUBLE) AS time""")

    def cure(self, column: str) -> str:
        if column == "item":
            return "an event of the front page, perhaps: data.filters.front_page=drop drops these and counts them"
        return super().cure(column)
