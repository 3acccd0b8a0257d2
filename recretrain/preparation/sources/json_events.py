"""Logs with a JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recretrain.preparation.sources import lines
from recretrain.preparation.sources.events import EventSource
from recretrain.preparation.sql import Connection, Relation, quoted


@dataclass(frozen=True, kw_only=True)
class JsonEvents(EventSource):
    """A log of single events, each a JSON object on a line of its own."""

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        lines.check_json(files)
        return super().explain(files, error)


def read_json(connection: Connection, files: Sequence[Path], fields: Sequence[str]) -> Relation:
    """Read these fields of every object as text, so that no wrong type stops the reading; NULL where one is missing."""
    names = ", ".join(quoted(file) for file in files)
    types = ", ".join(f"{field}: 'VARCHAR'" for field in fields)
    return connection.sql(f"SELECT * FROM read_json([{names}], format = 'newline_delimited', columns = {{{types}}})")
