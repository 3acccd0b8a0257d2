"""Logs of sessions: clicks without users, those of a session in order of time; or ADER's period files of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Deletion, Source
from recretrain.preparation.sql import Connection, Relation, quoted, rare
from recretrain.values import AtLeast0


@dataclass(frozen=True, kw_only=True)
class SessionFilters:
    """Filters of the raw file; ADER's period files have been through them."""

    min_session_clicks: AtLeast0  # drop shorter sessions, before the items and once more after them; 0: off
    min_item_clicks: AtLeast0  # drop rarer items; 0: off

    def deletions(self) -> list[Deletion]:
        """Filters over the whole file, in this order: later clicks too decide what is rare (ader.md, b2, i 15)."""
        sessions, items = self.min_session_clicks, self.min_item_clicks
        short = [Deletion(f"min_session_clicks={sessions}", rare("user", sessions))] if sessions else []
        few = [Deletion(f"min_item_clicks={items}", rare("item", items))] if items else []
        again = [replace(deletion, step=f"{deletion.step} again") for deletion in short if few]
        return short + few + again


@dataclass(frozen=True, kw_only=True)
class Clicks(Source):
    """A session is a user who comes once: its id stands in the column `user`.

    ADER numbers items by the ends of their sessions, the prepared folder by their first clicks. That is a difference
    inside a period only: in both, the items met so far have the lowest ids.
    """

    filters: SessionFilters

    raw_name: ClassVar[str]
    separator: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]  # of a line of the raw file
    header: ClassVar[int]  # lines of it

    @abstractmethod
    def clicks(self, table: Relation) -> Relation:
        """user, item, time of every line of the raw file, whose fields are text."""

    def files_in(self, place: Path) -> list[Path]:
        """ADER's files if the folder holds any, else the raw one."""
        if place.is_file():
            return [place]
        numbered = [f for f in place.glob("period_*.txt") if f.stem.removeprefix("period_").isdigit()]
        return sorted(numbered, key=_number) or [f for f in [place / self.raw_name] if f.is_file()]

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return bool(files) and files[0].name.startswith("period_")

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        """ADER's files are filtered and cut: no option shapes what is made of them."""
        return {} if self.brings_periods(files) else super().options(files)

    def after_check(self, files: Sequence[Path]) -> list[Deletion]:
        return [] if self.brings_periods(files) else self.filters.deletions()

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        if self.brings_periods(files):
            return _given(connection, files)
        types = ", ".join(f"{quoted(field)}: 'VARCHAR'" for field in self.fields)
        text = f"""SELECT * FROM read_csv({quoted(files[0])}, delim = {quoted(self.separator)}, skip = {self.header},
                   header = false, auto_detect = false, quote = '', escape = '', columns = {{{types}}})"""
        return self.clicks(connection.sql(text))

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row, header=0 if self.brings_periods(files) else self.header)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        given = self.brings_periods(files)
        separator, fields = (" ", 2) if given else (self.separator, len(self.fields))
        for file in files:
            for number, line in lines.numbered_lines(file):
                if line.count(separator) != fields - 1:
                    return (
                        f"{file}, line {number} ({line[: lines.SHOWN]}): not {fields} fields separated by "
                        f"{separator!r}; mend or remove the line, or get the file again"
                    )
        return super().explain(files, error)


def _given(connection: Connection, files: Sequence[Path]) -> Relation:
    for number, file in enumerate(files):
        if _number(file) != number:
            raise DataError(f"{file.parent}: period_{number}.txt is missing; get all files from the same place")
    parts = [
        f"""SELECT TRY_CAST(session AS BIGINT) AS "user", TRY_CAST(item AS BIGINT) AS item, {number} AS period
            FROM read_csv({quoted(file)}, delim = ' ', header = false, quote = '', null_padding = true,
                          columns = {{'session': 'VARCHAR', 'item': 'VARCHAR'}})"""
        for number, file in enumerate(files)
    ]
    return connection.sql(" UNION ALL ".join(parts))


def _number(file: Path) -> int:
    return int(file.stem.removeprefix("period_"))
