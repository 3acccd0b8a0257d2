"""DIGINETICA's item views (CIKM Cup 2016), in weeks counted from the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recretrain.data.errors import DataError
from recretrain.data.sources.base import Connection, Relation
from recretrain.data.sources.clicks import Clicks


@dataclass(frozen=True, kw_only=True)
class Diginetica(Clicks):
    layout: ClassVar[str] = "train-item-views.csv, or ADER's period_0.txt, period_1.txt, ...,"

    def raw_files(self, place: Path) -> list[Path]:
        return [place / "train-item-views.csv"] if (place / "train-item-views.csv").is_file() else []

    def raw_rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        raise DataError("not yet")
