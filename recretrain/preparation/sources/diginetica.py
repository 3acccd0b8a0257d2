"""DIGINETICA's item views (CIKM Cup 2016): a date, and a time frame that ADER reads as the time of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.clicks import Clicks
from recretrain.preparation.sql import Connection, Relation, quoted
from recretrain.preparation.zones import TimeZone


@dataclass(frozen=True, kw_only=True)
class Diginetica(Clicks):
    """Views of items in a shop."""

    time_zone: TimeZone  # of the dates in the raw file

    layout: ClassVar[str] = "train-item-views.csv, or ADER's period_0.txt, period_1.txt, ...,"
    raw_name: ClassVar[str] = "train-item-views.csv"
    separator: ClassVar[str] = ";"
    fields: ClassVar[tuple[str, ...]] = ("sessionId", "userId", "itemId", "timeframe", "eventdate")
    header: ClassVar[int] = 1

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        if not self.brings_periods(files):
            lines.check_header(files[0], self.fields, self.separator)
        return super().rows(connection, files)

    def clicks(self, table: Relation) -> Relation:
        """Stretch time frames so that the longest, undated rows included, is a day (ader.md, b1)."""
        midnight = f"epoch(timezone({quoted(self.time_zone)}, TRY_CAST(TRY_CAST(eventdate AS DATE) AS TIMESTAMP)))"
        frame = "TRY_CAST(timeframe AS BIGINT)"
        return table.project(
            f"""TRY_CAST(sessionId AS BIGINT) AS "user", TRY_CAST(itemId AS BIGINT) AS item,
            {midnight} + {frame} * (86400.0::DOUBLE / max({frame}) OVER ()) AS time, eventdate IS NULL AS undated"""
        )

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        own = [] if self.brings_periods(files) else [Deletion("no eventdate", "undated")]
        return super().before_check(files) + own
