"""MovieLens ratings: ml-1m (`::`), ml-100k (tabs) and ml-25m (CSV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import duckdb

from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.events import EventSource, Filters
from recretrain.preparation.sql import Connection, Relation, quoted

FIELDS = ("userId", "movieId", "rating", "timestamp")  # of a line of ratings

Release: TypeAlias = Literal["ml-1m", "ml-100k", "ml-25m"]


@dataclass(frozen=True)
class RatingsFile:
    """The file of ratings of a release, four fields a line."""

    file: str
    separator: str
    header: int  # lines


RATINGS: dict[Release, RatingsFile] = {
    "ml-1m": RatingsFile("ratings.dat", "::", 0),
    "ml-100k": RatingsFile("u.data", "\t", 0),
    "ml-25m": RatingsFile("ratings.csv", ",", 1),
}


@dataclass(frozen=True, kw_only=True)
class MovieLensFilters(Filters):
    """Filters of ratings, of which some lack a timestamp (in some copies of ml-1m)."""

    missing_time: Literal["drop", "error"]

    def before_check(self) -> list[Deletion]:
        own = [Deletion("missing_time=drop", "time IS NULL")] if self.missing_time == "drop" else []
        return super().before_check() + own


@dataclass(frozen=True, kw_only=True)
class MovieLens(EventSource):
    """Ratings of films in order of time."""

    filters: MovieLensFilters
    release: Release

    layout: ClassVar[str] = "ratings.dat, u.data or ratings.csv"

    def files_in(self, place: Path) -> list[Path]:
        file = place if place.is_file() else place / RATINGS[self.release].file
        return [file] if file.is_file() else []

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        return read(connection, files[0], self.release)

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row, header=RATINGS[self.release].header)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        return faulty_line(files[0], self.release, "data.release") or super().explain(files, error)

    def cure(self, column: str) -> str:
        if column == "time":
            return (
                "set data.filters.min_rating=4 (in ml-1m every rating of 4 and 5 has a time), "
                "or drop and count these ratings with data.filters.missing_time=drop"
            )
        return super().cure(column)


def read(connection: Connection, file: Path, release: Release) -> Relation:
    """user, item, rating, time; NULL where a field is no number."""
    form = RATINGS[release]
    if form.header:
        lines.check_header(file, FIELDS, form.separator)
    else:
        lines.check_no_header(file, form.separator)
    table = connection.sql(
        f"""SELECT * FROM read_csv({quoted(file)}, delim = {quoted(form.separator)}, skip = {form.header},
            header = false, auto_detect = false, quote = '', escape = '',
            columns = {{'user': 'VARCHAR', 'item': 'VARCHAR', 'rating': 'VARCHAR', 'time': 'VARCHAR'}})"""
    )
    return table.project(
        """TRY_CAST("user" AS BIGINT) AS "user", TRY_CAST(item AS BIGINT) AS item,
        TRY_CAST(rating AS FLOAT) AS rating, TRY_CAST(time AS DOUBLE) AS time"""
    )


def faulty_line(file: Path, release: Release, key: str) -> str | None:
    """The message for the first line of ratings without four fields; `key` of the configuration names the release."""
    separator = RATINGS[release].separator
    for number, line in lines.numbered_lines(file):
        if line.count(separator) != 3:
            return (
                f"{file}, line {number} ({line[: lines.SHOWN]}): not four fields separated by "
                f"{separator!r}; check {key} (now {release}), or mend the line"
            )
    return None
