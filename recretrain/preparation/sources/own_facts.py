"""Facts from one's own tables: an id column, and further columns of which each is a fact about users or items."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from recretrain.errors import DataError
from recretrain.preparation.sources import reading
from recretrain.preparation.sources.facts import UNKNOWN, Fact, numbered, write_fields
from recretrain.preparation.sql import Connection, Relation, name_of

SEPARATOR = "|"  # of several values in one field of text

log = logging.getLogger(__name__)


def write_own_facts(connection: Connection, tables: Mapping[str, tuple[Path, str]], folder: Path) -> None:
    """Write the facts of each kind ("user", "item") that has a table, whose file and id column are given."""
    if tables:
        facts = {kind: _facts(connection, kind, file, column) for kind, (file, column) in tables.items()}
        write_fields(folder, facts)


def _facts(connection: Connection, kind: str, file: Path, column: str) -> list[Fact]:
    """Every column but the id, for all ids of the data; an id that the table lacks has unknown values."""
    table = reading.scan(connection, [file], [column])
    reading.require([file], table, {kind: column}, "data.columns")
    names = [name for name in table.columns if name != column]
    if not names:
        raise DataError(f"{file}: it has no column beside {column!r}; a table of facts (data.facts.{kind}) needs one")
    stored = f"{kind}_facts"
    table.project(f"{name_of(column)}::VARCHAR AS key, {', '.join(map(name_of, names))}").create(stored)
    reading.check_read(connection, [file])
    _check_ids(connection, kind, file, stored)
    return [_fact(connection, kind, name, stored) for name in names]


def _check_ids(connection: Connection, kind: str, file: Path, stored: str) -> None:
    query = f"SELECT key, count(*) FROM {stored} GROUP BY key HAVING count(*) > 1 OR key IS NULL ORDER BY key LIMIT 1"
    for key, count in connection.sql(query).fetchall():
        name = f"{kind} {key!r} has {count} rows" if key is not None else f"a row has no {kind}"
        raise DataError(f"{file}: {name}; a table of facts (data.facts.{kind}) has one row for each id")
    query = f"SELECT count(*), count({stored}.key) FROM {kind}s LEFT JOIN {stored} ON {_same(kind, stored)}"
    ids, known = connection.sql(query).fetchall()[0]
    if not known:
        raise DataError(f"{file}: it has none of the {ids} {kind}s of the data; the ids must be written as there")
    if known < ids:
        log.warning("%s: it has no facts of %d of %d %ss; they are unknown", file, ids - known, ids, kind)


def _fact(connection: Connection, kind: str, name: str, stored: str) -> Fact:
    query = f"""SELECT {stored}.{name_of(name)} AS value FROM {kind}s
                LEFT JOIN {stored} ON {_same(kind, stored)} ORDER BY {kind}s.id"""
    found = connection.sql(query)
    values = _values(found)
    many = any(len(of_id) > 1 for of_id in values) or str(found.types[0]).endswith("[]")
    fact = numbered(re.sub(r"[^\w.-]", "_", name), values, many=many)
    log.info("data.facts.%s: %s has %d values", kind, fact.name, fact.size)
    return fact


def _same(kind: str, stored: str) -> str:
    return f"{stored}.key = {kind}s.key::VARCHAR"


def _values(found: Relation) -> list[Sequence[str]]:
    return [_listed(value) for (value,) in found.fetchall()]


def _listed(value: Any) -> list[str]:
    """The values of one id; a list is one of parquet, of JSON, or text with separators."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(json.JSONDecodeError):  # text that begins with a bracket
            value = json.loads(value)
    parts = value if isinstance(value, list) else [None] if value is None else str(value).split(SEPARATOR)
    return [name for part in parts if part is not None and (name := str(part).strip())] or [UNKNOWN]
