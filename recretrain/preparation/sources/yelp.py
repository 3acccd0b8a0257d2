"""Yelp's academic data set: one review a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recretrain.preparation.sources.json_events import JsonEvents, read_json
from recretrain.preparation.sql import Connection, Relation


@dataclass(frozen=True, kw_only=True)
class Yelp(JsonEvents):
    """Reviews of businesses by users."""

    layout: ClassVar[str] = "review.json (yelp_academic_dataset_review.json), plain or .gz,"

    def files_in(self, place: Path) -> list[Path]:
        if place.is_file():
            return [place]
        return sorted(place.glob("*review.json"))[:1] or sorted(place.glob("*review.json.gz"))[:1]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        reviews = read_json(connection, files, ("user_id", "business_id", "stars", "date"))
        return reviews.project(
            """user_id AS "user", business_id AS item, TRY_CAST(stars AS FLOAT) AS rating,
            epoch(TRY_CAST(date AS TIMESTAMP)) AS time"""  # local times without a zone, taken as UTC
        )
