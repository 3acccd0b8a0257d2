"""Downstream tasks of one's own: a table of histories, and for each task a table of users and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import reading
from recretrain.preparation.sources.base import Source
from recretrain.preparation.sources.own_paths import SUFFIXES
from recretrain.preparation.sources.tasks import LAST_IS_VALID, SOURCE, Split, check_names, with_tasks
from recretrain.preparation.sources.times import TimeUnit, seconds
from recretrain.preparation.sql import Connection, Relation, name_of
from recretrain.values import Given


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables of a folder, and the names that columns have in them."""

    tasks: Sequence[Given] | None  # names of their tables, in order; null: all tables of the folder but the source
    user: Given  # in all tables
    item: Given  # in the source
    timestamp: str | None  # in the source; null: its rows are in order
    time_unit: TimeUnit
    label: Given  # in the tasks

    def __post_init__(self) -> None:
        if self.tasks is not None:
            check_names("data.tables.tasks", self.tasks)


@dataclass(frozen=True, kw_only=True)
class TaskTables(Source):
    """`source.csv` (or parquet) and a table named after each task, in one folder."""

    tables: Tables
    split: Split

    layout: ClassVar[str] = "source.parquet or source.csv, and a table named after each task, in a folder"
    own: ClassVar[bool] = True

    def files_in(self, place: Path) -> list[Path]:
        found = {_stem(file): file for file in sorted(place.glob("*")) if _stem(file)}
        if SOURCE not in found:
            return []
        tasks = self.tables.tasks if self.tables.tasks is not None else [name for name in found if name != SOURCE]
        lost = [name for name in tasks if name not in found]
        if lost or not tasks:
            wanted = " nor ".join(f"{name}.csv or {name}.parquet" for name in lost) or "table of a task"
            raise DataError(f"{place}: no {wanted} beside {found[SOURCE].name}; add it, or set data.tables.tasks")
        return [found[name] for name in (SOURCE, *tasks)]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        source, *tasks = files
        self._read(connection, source, "item", timed=bool(self.tables.timestamp))
        for file in tasks:
            self._read(connection, file, "label", timed=False)
        histories = connection.sql(
            f"""SELECT "user", item, 0 AS period, {LAST_IS_VALID} AS part
                FROM (SELECT *, row_number() OVER (ORDER BY time, row) AS nth FROM {_table(source)}) ORDER BY nth"""
        )
        labels = {_stem(file): connection.table(_table(file)).project('"user", item') for file in tasks}
        return with_tasks(connection, histories, labels, self.split)

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return True

    def period_name(self, files: Sequence[Path], period: int) -> str:
        return _stem(files[period])

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return " or ".join(map(str, files))  # rows are checked before they are put in order

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        reading.check_fields(files)
        return super().explain(files, error)

    def _read(self, connection: Connection, file: Path, role: str, *, timed: bool) -> None:
        """Make the table of a file: row, user and item (the label, in a task) as text, and time."""
        named = {key: getattr(self.tables, key) for key in ("user", role, *(["timestamp"] if timed else []))}
        table = reading.scan(connection, [file], named.values())
        reading.require([file], table, named, "data.tables")
        time = seconds(table, named["timestamp"], self.tables.time_unit) if timed else "0"
        user, item = name_of(self.tables.user), name_of(named[role])
        columns = f'{user}::VARCHAR AS "user", {item}::VARCHAR AS item, {time} AS time'
        table.project(f"row_number() OVER () - 1 AS row, {columns}").create(_name(file))
        reading.check_read(connection, [file])
        for column, key in (("user", "user"), ("item", role), ("time", "timestamp")):
            query = f"""SELECT min(row) FROM {_table(file)} WHERE "{column}" IS NULL"""
            (row,) = connection.sql(query).fetchall()[0]
            if row is not None:
                place = reading.place_of([file], row)
                raise DataError(f"{place}: {key} is missing or of the wrong type; mend or remove the row")


def _stem(file: Path) -> str:
    """The name of a table; none for a file that is no table."""
    return next((file.name.removesuffix(suffix) for suffix in SUFFIXES if file.name.endswith(suffix)), "")


def _name(file: Path) -> str:
    return f"table_{_stem(file)}"


def _table(file: Path) -> str:
    return name_of(_name(file))
