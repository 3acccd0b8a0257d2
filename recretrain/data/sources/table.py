"""One's own parquet or CSV: a row an event, columns under any name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recretrain.data.errors import DataError
from recretrain.data.sources.base import Connection, EventSource, Relation, name_of, one_of, quoted

SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
SECONDS = {
    "s": "TRY_CAST({} AS DOUBLE)",
    "ms": "TRY_CAST({} AS DOUBLE) / 1e3",
    "us": "TRY_CAST({} AS DOUBLE) / 1e6",
    "iso": "epoch(TRY_CAST({} AS TIMESTAMP))",
}


@dataclass(frozen=True, kw_only=True)
class Table(EventSource):
    columns: Mapping[str, str | None]  # user, item, timestamp, rating, session -> name in the file; null: not there
    time_unit: str  # s | ms | us | iso

    layout: ClassVar[str] = "a parquet or CSV file (or a folder of them)"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("data.time_unit", self.time_unit, tuple(SECONDS))
        for role in ("user", "item", "timestamp"):
            if not self.columns.get(role):
                raise DataError(f"data.columns.{role} is not set; name the column that holds it")
        if self.min_rating is not None and not self.columns.get("rating"):
            raise DataError(f"data.min_rating={self.min_rating:g} needs data.columns.rating")

    def files_in(self, place: Path) -> list[Path]:
        if place.is_file():
            return [place]
        return sorted(f for f in place.glob("*") if f.name.endswith(SUFFIXES))

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        table = self._scan(connection, files)
        there = {role: name for role, name in self.columns.items() if name}
        absent = [f"{name!r} (data.columns.{role})" for role, name in there.items() if name not in table.columns]
        if absent:
            raise DataError(
                f"{files[0]}: no column {' nor '.join(absent)}; it has {', '.join(table.columns)}; "
                f"map them in data.columns"
            )
        return table.project(", ".join(self._expression(role, name_of(name)) for role, name in there.items()))

    def place_of(self, files: Sequence[Path], row: int) -> str:
        import duckdb

        for file in files:
            rows = int(self._scan(duckdb.connect(), [file]).count("*").fetchall()[0][0])
            if row < rows:
                return f"{file}, row {row + 1}" if _is_parquet(file) else f"{file}, line {row + 2}"
            row -= rows
        raise IndexError(row)

    def cure(self, column: str) -> str:
        if column == "time":
            return f"mend or remove it, or check data.time_unit (now {self.time_unit})"
        return "mend or remove it"

    def _scan(self, connection: Connection, files: Sequence[Path]) -> Relation:
        names = "[" + ", ".join(quoted(f) for f in files) + "]"
        if all(_is_parquet(f) for f in files):
            return connection.sql(f"SELECT * FROM read_parquet({names})")
        # text stays text: a sniffed type would decide by the first rows what the later ones may hold
        return connection.sql(f"SELECT * FROM read_csv({names}, header = true, all_varchar = true)")

    def _expression(self, role: str, column: str) -> str:
        if role == "timestamp":
            return f"{SECONDS[self.time_unit].format(column)} AS time"
        if role == "rating":
            return f"TRY_CAST({column} AS FLOAT) AS rating"
        return f'{column} AS "{role}"'


def _is_parquet(file: Path) -> bool:
    return file.name.endswith(".parquet")
