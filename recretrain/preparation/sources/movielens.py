"""MovieLens ratings: ml-1m (`::`), ml-100k (tabs) and ml-25m (CSV)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import duckdb

from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Connection, Drop, EventSource, Relation, one_of, quoted


@dataclass(frozen=True)
class Release:
    file: str
    separator: str
    header: int  # lines


RELEASES = {
    "ml-1m": Release("ratings.dat", "::", 0),
    "ml-100k": Release("u.data", "\t", 0),
    "ml-25m": Release("ratings.csv", ",", 1),
}


@dataclass(frozen=True, kw_only=True)
class MovieLens(EventSource):
    release: str  # ml-1m | ml-100k | ml-25m
    missing_time: str  # a rating without a timestamp (some copies of ml-1m): drop | error

    layout: ClassVar[str] = "ratings.dat, u.data or ratings.csv"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("data.release", self.release, tuple(RELEASES))
        one_of("data.missing_time", self.missing_time, ("drop", "error"))

    def files_in(self, place: Path) -> list[Path]:
        file = place if place.is_file() else place / RELEASES[self.release].file
        return [file] if file.is_file() else []

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        return read(connection, files[0], self.release)

    def before_check(self, files: Sequence[Path]) -> list[Drop]:
        own = [Drop("missing_time=drop", "time IS NULL")] if self.missing_time == "drop" else []
        return super().before_check(files) + own

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row, header=RELEASES[self.release].header)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        return faulty_line(files[0], self.release) or super().explain(files, error)

    def cure(self, column: str) -> str:
        if column == "time":
            return (
                "set data.min_rating=4 (in ml-1m every rating of 4 and 5 has a time), "
                "or drop and count these ratings with data.missing_time=drop"
            )
        return super().cure(column)


def read(connection: Connection, file: Path, release: str) -> Relation:
    """user, item, rating, time; NULL where a field is no number."""
    form = RELEASES[release]
    table = connection.sql(
        f"""SELECT * FROM read_csv({quoted(file)}, delim = {quoted(form.separator)}, skip = {form.header},
            header = false, auto_detect = false, quote = '', escape = '',
            columns = {{'user': 'VARCHAR', 'item': 'VARCHAR', 'rating': 'VARCHAR', 'time': 'VARCHAR'}})"""
    )
    return table.project(
        """TRY_CAST("user" AS BIGINT) AS "user", TRY_CAST(item AS BIGINT) AS item,
        TRY_CAST(rating AS FLOAT) AS rating, TRY_CAST(time AS DOUBLE) AS time"""
    )


def faulty_line(file: Path, release: str) -> str | None:
    """Of ratings: the first line without four fields."""
    separator = RELEASES[release].separator
    for number, line in lines.numbered(file):
        if line.count(separator) != 3:
            return (
                f"{file}, line {number} ({line[: lines.SHOWN]}): not four fields separated by "
                f"{separator!r}; check data.release (now {release}), or mend the line"
            )
    return None
