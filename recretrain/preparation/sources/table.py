"""One's own parquet, CSV or JSON lines: a row an event, columns under any name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import own_paths, reading
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.events import EventSource
from recretrain.preparation.sources.own_facts import write_own_facts
from recretrain.preparation.sources.times import TimeUnit, finite, seconds
from recretrain.preparation.sql import Connection, Relation, name_of
from recretrain.values import Given
from recretrain.visible import first_line


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
IDS = ("user", "item", "session")
NO_ID = re.compile(r"\[\d*\]$|^(STRUCT|MAP|UNION|BOOLEAN|INTERVAL|TIME)\b")  # types of SQL


@dataclass(frozen=True, kw_only=True)
class Table(EventSource):
    """Events of any kind."""

    columns: Columns
    where: Given | None  # a condition of SQL over the columns of the file
    facts: Mapping[Literal["user", "item"], str | None]  # paths of tables, as `path`

    layout: ClassVar[str] = "a table: parquet, CSV or JSON lines, a file, a folder or a pattern,"
    own: ClassVar[bool] = True
    time_key: ClassVar[str] = "data.columns.time_unit"

    def __post_init__(self) -> None:
        if self.filters.min_rating is not None and not self.columns.rating:
            raise DataError(f"data.filters.min_rating={self.filters.min_rating:g} needs data.columns.rating")

    @property
    def time_unit(self) -> str:
        return self.columns.time_unit

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        flat = super().options(files)
        facts = {"facts": list(self._fact_paths())} if flat.pop("facts", None) else {}  # the files count themselves
        return flat | {"columns": {role: flat.pop(role) for role in ROLES}} | facts

    def find(self, root: Path) -> list[Path]:
        """The tables of events, then those of facts about users and about items."""
        events = super().find(root)
        if not events:
            return []
        facts = {kind: own_paths.place_of(root, path) for kind, path in self._fact_paths().items()}
        for kind, file in facts.items():
            if not file.is_file():
                raise DataError(f"data.facts.{kind}: there is no file {file}, neither here nor below {root}")
        return [*events, *facts.values()]

    def files_in(self, place: Path) -> list[Path]:
        return own_paths.files_at(place)

    def known_as(self, file: Path) -> str:
        return "/".join([*self._partitions(file), file.name])

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        events, named = self._events(files), self.columns.named()
        folders = {file: self._partitions(file) for file in events}
        table = reading.scan(connection, events, named.values(), folders)
        reading.require(events, table, named, "data.columns")
        raw = {role: f'"raw {role}"' for role in named}
        columns = [self._expression(table, role, raw[role]) for role in named]
        if self.where:
            columns.append(f"coalesce(({self.where}), false) AS wanted")
        given = [f"{name_of(name)} AS {raw[role]}" for role, name in named.items()]
        return self._project(table.project(", ".join([*given, *self._comparable(table)])), columns)

    def check_read(self, connection: Connection, files: Sequence[Path]) -> None:
        reading.check_read(connection, self._events(files))

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        return ([Deletion("where", "NOT wanted")] if self.where else []) + super().before_check(files)

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return reading.place_of(self._events(files), row)

    def cure(self, column: str) -> str:
        if column == "time":
            return f"{super().cure(column)}; or check data.columns.time_unit (now {self.columns.time_unit})"
        return super().cure(column)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        reading.check_fields(self._events(files))
        if self.where and isinstance(error, duckdb.ConversionException):
            return self._about_where(error)
        return super().explain(files, error)

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        kinds = self._fact_paths()
        tables = dict(zip(kinds, files[len(files) - len(kinds) :], strict=True))
        names = {"user": self.columns.user, "item": self.columns.item}
        write_own_facts(connection, {kind: (file, names[kind]) for kind, file in tables.items()}, folder)

    def _fact_paths(self) -> dict[str, str]:
        """The kinds that have a table of facts, users first."""
        return {kind: path for kind in ("user", "item") if (path := dict(self.facts).get(kind))}

    def _events(self, files: Sequence[Path]) -> Sequence[Path]:
        return files[: len(files) - len(self._fact_paths())]

    def _partitions(self, file: Path) -> tuple[str, ...]:
        return own_paths.partitions_of(file, self.path)

    def _expression(self, table: Relation, role: str, column: str) -> str:
        name = self.columns.named()[role]
        if role == "timestamp":
            return f"{seconds(table, name, self.columns.time_unit, column)} AS time"
        if role in IDS and NO_ID.search(kind := str(table.types[table.columns.index(name)])):
            raise DataError(
                f"data.columns.{role}={name} is a column of type {kind}, and ids are texts or whole numbers; "
                "choose another column"
            )
        if role == "rating":
            return f"{finite(f'TRY_CAST({column} AS FLOAT)')} AS rating"
        fractional = str(table.types[table.columns.index(name)]) in ("FLOAT", "DOUBLE")
        return f'{finite(column) if fractional else column} AS "{role}"'  # NaN is no id

    def _comparable(self, table: Relation) -> list[str]:
        """The columns for `where`: of text, those that hold numbers alone as numbers, but for ids."""
        if not self.where:
            return []
        ids = {self.columns.named().get(role) for role in IDS}
        kinds = dict(zip(table.columns, map(str, table.types), strict=True))
        texts = [name for name, kind in kinds.items() if kind == "VARCHAR" and name not in ids]
        numbers = _numbers(table, texts) if texts else {}
        return [
            f"TRY_CAST({name_of(name)} AS {numbers[name]}) AS {name_of(name)}" if name in numbers else name_of(name)
            for name in table.columns
        ]

    def _project(self, table: Relation, columns: Sequence[str]) -> Relation:
        try:
            return table.project(", ".join(columns))
        except duckdb.Error as error:
            if not self.where:
                raise
            raise DataError(self._about_where(error)) from error

    def _about_where(self, error: duckdb.Error) -> str:
        return f"data.where={self.where}: {first_line(error)}; give a condition of SQL over the columns of the file"


def _numbers(table: Relation, names: Sequence[str]) -> dict[str, str]:
    """The types of those columns of text that hold nothing but numbers."""
    counts = [
        f"count({column}), count(TRY_CAST({column} AS DOUBLE)), "
        f"count(CASE WHEN TRY_CAST({column} AS DOUBLE) = TRY_CAST({column} AS BIGINT) THEN 1 END)"
        for column in map(name_of, names)
    ]
    found = table.aggregate(", ".join(counts)).fetchall()[0]
    types = {}
    for place, name in enumerate(names):
        values, numbers, wholes = found[3 * place : 3 * place + 3]
        if values and values == numbers:
            types[name] = "BIGINT" if wholes == values else "DOUBLE"
    return types
