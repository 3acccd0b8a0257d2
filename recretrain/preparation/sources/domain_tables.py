"""Two domains of one's own: a table of ratings, of which a column names the domain; texts and times where there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.reviews import ReviewedDomains, TwoReviewedDomains
from recretrain.preparation.sources.table import SUFFIXES, TimeUnit, check_fields, place_in, scan, seconds
from recretrain.preparation.sql import Connection, name_of, quoted
from recretrain.values import NotEmpty

Given = Annotated[str, NotEmpty()]
ROLES = ("user", "item", "domain", "rating", "text", "timestamp")


@dataclass(frozen=True, kw_only=True)
class DomainColumns:
    """The names that columns have in the file; null: the file has no such column."""

    user: Given
    item: Given
    domain: Given  # holds data.domains.source_name or target_name; rows of any other domain are dropped
    rating: Given
    text: str | None
    timestamp: str | None
    time_unit: TimeUnit

    def named(self) -> dict[str, str]:
        """Each role that a column of the file has, and the column's name."""
        roles = {role: getattr(self, role) for role in ROLES}
        return {role: name for role, name in roles.items() if name}


@dataclass(frozen=True, kw_only=True)
class OwnDomains(ReviewedDomains):
    """Domains by a column."""

    columns: DomainColumns

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.texts and not self.columns.text:
            raise DataError(
                "data.domains.columns.text is null, but data.domains.texts is not; name it, or set both null"
            )


@dataclass(frozen=True, kw_only=True)
class DomainTables(TwoReviewedDomains):
    """A parquet or CSV file."""

    domains: OwnDomains

    layout: ClassVar[str] = "a parquet or CSV file"

    needs_time: ClassVar[str] = "name their column in data.domains.columns.timestamp"

    def files_in(self, place: Path) -> list[Path]:
        return [place] if place.is_file() and place.name.endswith(SUFFIXES) else []

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        flat = super().options(files)
        return flat | {"columns": {role: flat.pop(role) for role in ROLES}}

    def reviews(self, connection: Connection, files: Sequence[Path]) -> None:
        table = scan(connection, files)
        named = self.domains.columns.named()
        absent = [
            f"{name!r} (data.domains.columns.{role})" for role, name in named.items() if name not in table.columns
        ]
        if absent:
            raise DataError(
                f"{files[0]}: no column {' nor '.join(absent)}; it has {', '.join(table.columns)}; map them in "
                "data.domains.columns"
            )
        table.project(", ".join(self._expression(role, name_of(name)) for role, name in named.items())).create(
            "reviews"
        )

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        names = ", ".join(map(quoted, self.domains.names))
        return [Deletion("other domains", f"space NOT IN ({names})"), *super().before_check(files)]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return place_in(files[0], row)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        check_fields(files)
        return super().explain(files, error)

    def _expression(self, role: str, column: str) -> str:
        if role == "timestamp":
            return f"{seconds(column, self.domains.columns.time_unit)} AS time"
        if role == "rating":
            number = f"TRY_CAST({column} AS FLOAT)"
            return f"CASE WHEN isfinite({number}) THEN {number} END AS rating"
        return f'{column}::VARCHAR AS "{"space" if role == "domain" else role}"'
