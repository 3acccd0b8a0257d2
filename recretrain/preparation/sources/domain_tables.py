"""Two domains of one's own: a table of ratings, of which a column names the domain; texts and times where there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import own_paths, reading
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.reviews import ReviewedDomains, TwoReviewedDomains
from recretrain.preparation.sources.times import TimeUnit, finite, seconds
from recretrain.preparation.sql import Connection, Relation, name_of, quoted
from recretrain.values import Given

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
    """A table of ratings."""

    domains: OwnDomains

    layout: ClassVar[str] = "a table: parquet, CSV or JSON lines, a file, a folder or a pattern,"
    own: ClassVar[bool] = True
    time_key: ClassVar[str] = "data.domains.columns.time_unit"

    needs_time: ClassVar[str] = "name their column in data.domains.columns.timestamp"

    def files_in(self, place: Path) -> list[Path]:
        return own_paths.files_at(place)

    @property
    def time_unit(self) -> str:
        return self.domains.columns.time_unit

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        flat = super().options(files)
        return flat | {"columns": {role: flat.pop(role) for role in ROLES}}

    def reviews(self, connection: Connection, files: Sequence[Path]) -> None:
        named = self.domains.columns.named()
        table = reading.scan(connection, files, named.values())
        reading.require(files, table, named, "data.domains.columns")
        columns = [self._expression(table, role, name) for role, name in named.items()]
        table.project(", ".join(columns)).create("reviews")
        reading.check_read(connection, files)

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        names = ", ".join(map(quoted, self.domains.names))
        return [Deletion("other domains", f"space NOT IN ({names})"), *super().before_check(files)]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return reading.place_of(files, row)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        reading.check_fields(files)
        return super().explain(files, error)

    def _expression(self, table: Relation, role: str, name: str) -> str:
        column = name_of(name)
        if role == "timestamp":
            return f"{seconds(table, name, self.domains.columns.time_unit)} AS time"
        if role == "rating":
            return f"{finite(f'TRY_CAST({column} AS FLOAT)')} AS rating"
        return f'{column}::VARCHAR AS "{"space" if role == "domain" else role}"'
