"""Ratings without texts or times: a tab-separated file of user, item and rating for each domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.domains import Domains, TwoDomains, both_files
from recretrain.preparation.sql import Connection, Relation, quoted


@dataclass(frozen=True, kw_only=True)
class RatingFiles(Domains):
    """A file for each domain."""

    source_file: str
    target_file: str
    header: bool  # whether the first line of each names the columns


@dataclass(frozen=True, kw_only=True)
class DomainRatings(TwoDomains):
    """Two files of ratings."""

    domains: RatingFiles

    layout: ClassVar[str] = "two tab-separated files of user, item and rating"

    def files_in(self, place: Path) -> list[Path]:
        return both_files(place, self.domains.source_file, self.domains.target_file)

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        for file in files:
            self._check_header(file)
        first, second = (self._read(file, space) for file, space in zip(files, self.domains.names, strict=True))
        connection.sql(first).create("ratings")
        connection.sql(second).insert_into("ratings")
        return connection.table("ratings")

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row, header=int(self.domains.header))

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        for file in files:
            for number, line in lines.numbered_lines(file):
                if line.count("\t") != 2:
                    return (
                        f"{file}, line {number} ({line[: lines.SHOWN]}): not three fields between tabs; mend the line"
                    )
        return super().explain(files, error)

    def _check_header(self, file: Path) -> None:
        """Raise a DataError where a first rating would be taken for the names of the columns."""
        first = next((line for _, line in lines.numbered_lines(file)), "")
        if self.domains.header and first.rpartition("\t")[2].strip().replace(".", "", 1).isdigit():
            raise DataError(
                f"{file}, line 1 ({first[: lines.SHOWN]}): a rating, and not the names of the columns; set "
                "data.domains.header=false"
            )

    def _read(self, file: Path, space: str) -> str:
        return f"""SELECT trim("user") AS "user", trim(item) AS item, TRY_CAST(rating AS FLOAT) AS rating,
                          {quoted(space)} AS space
                   FROM read_csv({quoted(file)}, delim = '\t', skip = {int(self.domains.header)}, header = false,
                       auto_detect = false, quote = '', escape = '',
                       columns = {{'user': 'VARCHAR', 'item': 'VARCHAR', 'rating': 'VARCHAR'}})"""
