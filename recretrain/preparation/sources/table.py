"""One's own parquet or CSV: a row an event, columns under any name."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.events import EventSource
from recretrain.preparation.sql import Connection, Relation, name_of, quoted
from recretrain.values import NotEmpty

TimeUnit: TypeAlias = Literal["s", "ms", "us", "iso"]
SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
SEPARATORS = ",\t;|"
SECONDS = {
    "s": "TRY_CAST({} AS DOUBLE)",
    "ms": "TRY_CAST({} AS DOUBLE) / 1e3",
    "us": "TRY_CAST({} AS DOUBLE) / 1e6",
    "iso": "epoch(TRY_CAST({} AS TIMESTAMPTZ))",  # UTC where the text has no offset
}


Given = Annotated[str, NotEmpty()]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names that columns have in the file; null: the file has no such column."""

    user: Given
    item: Given
    timestamp: Given
    rating: str | None
    session: str | None
    time_unit: TimeUnit  # of the timestamps

    def named(self) -> dict[str, str]:
        """Each role that a column of the file has, and the column's name."""
        roles = {role: getattr(self, role) for role in ROLES}
        return {role: name for role, name in roles.items() if name}


ROLES = ("user", "item", "timestamp", "rating", "session")


@dataclass(frozen=True, kw_only=True)
class Table(EventSource):
    """Events of any kind."""

    columns: Columns

    layout: ClassVar[str] = "a parquet or CSV file (or a folder of them)"

    def __post_init__(self) -> None:
        if self.filters.min_rating is not None and not self.columns.rating:
            raise DataError(f"data.filters.min_rating={self.filters.min_rating:g} needs data.columns.rating")

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        flat = super().options(files)
        return flat | {"columns": {role: flat.pop(role) for role in ROLES}}

    def files_in(self, place: Path) -> list[Path]:
        if place.is_file():
            return [place]
        return sorted(f for f in place.glob("*") if f.name.endswith(SUFFIXES))

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        table = scan(connection, files)
        named = self.columns.named()
        absent = [f"{name!r} (data.columns.{role})" for role, name in named.items() if name not in table.columns]
        if absent:
            raise DataError(
                f"{files[0]}: no column {' nor '.join(absent)}; it has {', '.join(table.columns)}; "
                f"map them in data.columns"
            )
        return table.project(", ".join(self._expression(role, name_of(name)) for role, name in named.items()))

    def place_of(self, files: Sequence[Path], row: int) -> str:
        for file in files:
            rows = int(scan(duckdb.connect(), [file]).count("*").fetchall()[0][0])
            if row < rows:
                return place_in(file, row)
            row -= rows
        raise IndexError(row)

    def cure(self, column: str) -> str:
        if column == "time":
            return f"mend or remove it, or check data.columns.time_unit (now {self.columns.time_unit})"
        return "mend or remove it"

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        check_fields(files)
        return super().explain(files, error)

    def _expression(self, role: str, column: str) -> str:
        if role == "timestamp":
            return f"{seconds(column, self.columns.time_unit)} AS time"
        if role == "rating":
            return f"{_finite(f'TRY_CAST({column} AS FLOAT)')} AS rating"
        return f'{column} AS "{role}"'


def scan(connection: Connection, files: Sequence[Path]) -> Relation:
    """All columns of these files, which are one table."""
    if not all(_is_parquet(f) for f in files):
        return _scan_text(connection, files)
    return connection.sql(f"SELECT * FROM read_parquet([{', '.join(map(quoted, files))}])")


def seconds(column: str, unit: TimeUnit) -> str:
    """SQL for the unix seconds that a column holds; NULL where it is no time."""
    return _finite(SECONDS[unit].format(column))


def place_in(file: Path, row: int) -> str:
    """Where a row of a file, counted from 0, stands."""
    return f"{file}, row {row + 1}" if _is_parquet(file) else f"{file}, line {row + 2}"


def check_fields(files: Sequence[Path]) -> None:
    """Raise a DataError for the first line that cannot be read."""
    for file in files:
        if not _is_parquet(file):
            _check_fields(file)


def _finite(number: str) -> str:
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _is_parquet(file: Path) -> bool:
    return file.name.endswith(".parquet")


def _scan_text(connection: Connection, files: Sequence[Path]) -> Relation:
    """Read every field as text: a type guessed from the first rows could refuse a later one."""
    separator, names = _header(files[0])
    for file in files[1:]:
        if _header(file) != (separator, names):
            raise DataError(f"{file}: its first line differs from that of {files[0]}; give all files the same columns")
    types = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in names)
    return connection.sql(
        f"""SELECT * FROM read_csv([{", ".join(map(quoted, files))}], delim = {quoted(separator)}, header = true,
            auto_detect = false, quote = '"', escape = '"', columns = {{{types}}})"""
    )


def _header(file: Path) -> tuple[str, list[str]]:
    """Separator and column names, by the first line."""
    for _, line in lines.numbered_lines(file):
        separator = max(SEPARATORS, key=line.count)
        return separator, next(csv.reader([line.lstrip("\ufeff")], delimiter=separator))
    raise DataError(f"{file}: the file is empty; it needs a first line with the names of its columns")


def _check_fields(file: Path) -> None:
    """Raise a DataError for a damaged gzip, or for the first line whose fields do not match the columns."""
    separator, names = _header(file)
    rows = csv.reader((line for _, line in lines.numbered_lines(file)), delimiter=separator)
    for row in rows:
        if len(row) != len(names):
            raise DataError(
                f"{file}, line {rows.line_num}: {len(row)} fields where the first line names {len(names)} "
                f"({separator.join(row)[: lines.SHOWN]}); mend or remove the line"
            )
