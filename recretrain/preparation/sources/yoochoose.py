"""YOOCHOOSE's clicks (RecSys Challenge 2015): session, time, item, category, without a header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recretrain.preparation.sources import lines
from recretrain.preparation.sources.clicks import Clicks
from recretrain.preparation.sql import Connection, Relation


@dataclass(frozen=True, kw_only=True)
class Yoochoose(Clicks):
    """Clicks on items of a shop."""

    layout: ClassVar[str] = "yoochoose-clicks.dat, or ADER's period_0.txt, period_1.txt, ...,"
    raw_name: ClassVar[str] = "yoochoose-clicks.dat"
    separator: ClassVar[str] = ","
    fields: ClassVar[tuple[str, ...]] = ("session", "at", "item", "category")
    header: ClassVar[int] = 0

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        if not self.brings_periods(files):
            lines.check_no_header(files[0], self.separator)
        return super().rows(connection, files)

    def clicks(self, table: Relation) -> Relation:
        """Times in whole seconds: the clicks of one second stay in the file's order (ader.md, b1)."""
        return table.project(
            """TRY_CAST(session AS BIGINT) AS "user", TRY_CAST(item AS BIGINT) AS item,
            floor(epoch(TRY_CAST("at" AS TIMESTAMPTZ))) AS time"""
        )
