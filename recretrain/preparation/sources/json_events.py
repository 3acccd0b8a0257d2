"""Logs with a JSON object a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from recretrain.preparation.sources import lines
from recretrain.preparation.sources.events import EventSource
from recretrain.preparation.sql import Connection, Relation, name_of, quoted


@dataclass(frozen=True, kw_only=True)
class JsonEvents(EventSource):
    """A log of single events, each a JSON object on a line of its own."""

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        lines.check_json(files)
        return super().explain(files, error)


def read_json(connection: Connection, files: Sequence[Path], fields: Sequence[str]) -> Relation:
    """Read these fields of every object as text."""
    return connection.sql(json_sql(files, fields))


def json_sql(files: Sequence[Path], fields: Sequence[str] | None, more: str = "hive_partitioning = false") -> str:
    """SQL for these fields of every object as text, so that no wrong type stops the reading; NULL where one is missing.

    None: the whole object, as `json`. `more`: options of the reader.
    """
    names = f"[{', '.join(quoted(file) for file in files)}]"
    if any(lines.starts_with_bom(file) for file in files):
        return _over_boms(names, fields, more)
    if fields is None:
        return f"SELECT json FROM read_json_objects({names}, format = 'newline_delimited', {more})"
    types = ", ".join(f"{name_of(field)}: 'VARCHAR'" for field in fields)
    return f"SELECT * FROM read_json({names}, format = 'newline_delimited', columns = {{{types}}}, {more})"


def _over_boms(names: str, fields: Sequence[str] | None, more: str) -> str:
    """Read lines as text first, which may begin with a byte order mark."""
    text = f"""read_csv({names}, delim = '\x01', quote = '', escape = '', header = false, auto_detect = false, {more},
        columns = {{'json': 'VARCHAR'}}, max_line_size = {lines.LONGEST})"""
    objects = f"SELECT * REPLACE (trim(json, chr(65279) || ' ' || chr(9) || chr(13)) AS json) FROM {text}"
    whole = f"SELECT * FROM ({objects}) WHERE json <> ''"
    if fields is None:
        return whole
    values = [f"json_extract_string(json, {quoted(_path(field))}) AS {name_of(field)}" for field in fields]
    return f"SELECT * EXCLUDE json, {', '.join(values)} FROM ({whole})"


def _path(field: str) -> str:
    return '$."' + field.replace("\\", "\\\\").replace('"', '\\"') + '"'
