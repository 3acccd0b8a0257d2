"""The SQL that sources and period files share: literals, names, and rows of rare users or items."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import duckdb

Connection: TypeAlias = duckdb.DuckDBPyConnection
Relation: TypeAlias = duckdb.DuckDBPyRelation


def quoted(text: str | Path) -> str:
    """Text or a path as a string literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def name_of(column: str) -> str:
    """A column's name, quoted for SQL."""
    return '"' + column.replace('"', '""') + '"'


def rare(column: str, least: int) -> str:
    """A condition of SQL: the row's user (or item) has fewer than `least` rows of `interactions`."""
    return f'"{column}" IN (SELECT "{column}" FROM interactions GROUP BY "{column}" HAVING count(*) < {int(least)})'
