"""Tables of text, JSON lines or parquet, many files read as one: columns by name, NULL where a file has none."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.json_events import json_sql
from recretrain.preparation.sources.own_paths import columns_of
from recretrain.preparation.sql import Connection, Relation, name_of, quoted

SEPARATORS = ",\t;|"
REJECTED = "rejected_lines"  # the table in which DuckDB notes what it could not read
Partitions = Mapping[Path, Sequence[str]]  # folders `column=value` above a file


@dataclass(frozen=True)
class Form:
    """How files are to be read; those of one form are read at once."""

    kind: str  # text | json | parquet
    partitions: tuple[str, ...]  # columns that folders give
    separator: str = ""
    names: tuple[str, ...] = ()  # of the columns of text, as they stand in the first line


def scan(
    connection: Connection, files: Sequence[Path], wanted: Collection[str] = (), partitions: Partitions | None = None
) -> Relation:
    """All columns that have a name of their own.

    Those of text and JSON are text, since a type guessed from some rows could refuse others. `wanted` names stand
    apart from those that differ in upper and lower case alone.
    """
    folders = partitions or {}
    forms = groupby(files, key=lambda file: _form(file, columns_of(folders.get(file, ()))))
    parts = [_select(connection, list(group), form, wanted) for form, group in forms]
    return connection.sql(" UNION ALL BY NAME ".join(parts))


def require(files: Sequence[Path], table: Relation, named: Mapping[str, str], where: str) -> None:
    """Raise a DataError for the first name (by its key, as in the configuration node `where`) that is no column."""
    for key, name in named.items():
        for file in files:
            if _is_text(file) and _header(file)[1].count(name) > 1:
                raise DataError(
                    f"{file}, line 1: {_header(file)[1].count(name)} columns are called {name!r} ({where}.{key}); "
                    "give each a name of its own"
                )
    absent = [f"{name!r} ({where}.{key})" for key, name in named.items() if name not in table.columns]
    if absent:
        which = "it" if len(absent) == 1 else "them"
        raise DataError(
            f"{files[0]}: no column {' nor '.join(absent)}; it has {', '.join(table.columns)}; map {which} in {where}"
        )


def check_read(connection: Connection, files: Sequence[Path]) -> None:
    """Raise a DataError for the first line that was left out, unless all of them are blank."""
    for file in filter(_is_text, files):
        lines.check_lengths(file)
    if not connection.sql(f"SELECT 1 FROM duckdb_tables() WHERE table_name = {quoted(REJECTED)}").fetchall():
        return
    rejected = connection.sql(f"SELECT line, csv_line, error_message FROM {REJECTED}").fetchall()
    if not rejected:
        return
    check_fields(files)
    for line, text, problem in rejected:
        if (text or "").strip():
            raise DataError(f"{', '.join(map(str, files[:3]))}, line {line} ({text.strip()[: lines.SHOWN]}): {problem}")


def check_fields(files: Sequence[Path]) -> None:
    """Raise a DataError for the first line that cannot be read."""
    for file in files:
        if _is_json(file):
            lines.check_json([file])
        elif _is_text(file):
            lines.check_utf8(file)
            _check_fields(file)


def place_of(files: Sequence[Path], row: int) -> str:
    """Where a row, counted from 0 over all files, stands."""
    for file in files:
        if _is_text(file):
            for order, (number, _) in enumerate(lines.records(file, _header(file)[0]), start=-1):
                if order == row:
                    return f"{file}, line {number}"
            row -= order + 1
            continue
        rows = int(scan(duckdb.connect(), [file]).count("*").fetchall()[0][0])
        if row < rows:
            return f"{file}, row {row + 1}" if not _is_json(file) else lines.place_of([file], row)
        row -= rows
    raise IndexError(row)


def _is_json(file: Path) -> bool:
    """Whether a file is of one JSON object a line; .json is read so too, though no folder is searched for it."""
    return any(suffix in (".json", ".jsonl", ".ndjson") for suffix in file.suffixes[-2:])


def _is_text(file: Path) -> bool:
    return file.suffix != ".parquet" and not _is_json(file)


def _form(file: Path, partitions: Sequence[str]) -> Form:
    if file.suffix == ".parquet":
        return Form("parquet", tuple(partitions))
    if _is_json(file):
        return Form("json", tuple(partitions))
    separator, names = _header(file)
    return Form("text", tuple(partitions), separator, tuple(names))


def _select(connection: Connection, files: Sequence[Path], form: Form, wanted: Collection[str]) -> str:
    """SQL for the rows of files of one form."""
    listed = f"[{', '.join(map(quoted, files))}]"
    hive = f"hive_partitioning = {str(bool(form.partitions)).lower()}"
    if form.partitions:
        hive += ", hive_types_autocast = false"
    if form.kind == "parquet":
        return f"SELECT * FROM read_parquet({listed}, union_by_name = true, {hive})"
    if form.kind == "json":
        return json_sql(files, _keys(connection, files), hive)
    places = dict(_own_names(form.names, wanted))
    if not places:
        raise DataError(f"{files[0]}: no column has a name of its own; its first line must name the columns")
    columns = [f"c{place} AS {name_of(name)}" for name, place in places.items()]
    columns += [name_of(name) for name in form.partitions if name not in places]
    types = ", ".join(f"c{place}: 'VARCHAR'" for place in range(len(form.names)))
    return f"""SELECT {", ".join(columns)} FROM read_csv({listed},
        delim = {quoted(form.separator)}, header = true, auto_detect = false, quote = '"', escape = '"', {hive},
        columns = {{{types}}}, store_rejects = true, rejects_table = {quoted(REJECTED)},
        rejects_scan = {quoted(REJECTED + "_scans")})"""


def _own_names(names: Sequence[str], wanted: Collection[str]) -> Iterator[tuple[str, int]]:
    """Names that one column alone has, with its place; upper and lower case are one to SQL."""
    for place, name in enumerate(names):
        twins = [other for other in names if other.lower() == name.lower()]
        preferred = name in wanted and twins.count(name) == 1
        if name.strip() and (len(twins) == 1 or preferred):
            yield name, place


def _keys(connection: Connection, files: Sequence[Path]) -> list[str]:
    """The names in all objects of JSON lines."""
    objects = json_sql(files, None)
    found = connection.sql(f"SELECT DISTINCT unnest(json_keys(json)) AS name FROM ({objects}) ORDER BY name").fetchall()
    if not found:
        raise DataError(f"{files[0]}: the file is empty; it needs a JSON object a line")
    return [str(name) for (name,) in found]


def _header(file: Path) -> tuple[str, list[str]]:
    """Separator and column names, by the first line."""
    for _, line in lines.numbered_lines(file):
        separator = max(SEPARATORS, key=line.count)
        return separator, next(csv.reader([line], delimiter=separator))
    raise DataError(f"{file}: the file is empty; it needs a first line with the names of its columns")


def _check_fields(file: Path) -> None:
    """Raise a DataError for a damaged gzip, or for the first line whose fields do not match the columns."""
    separator, names = _header(file)
    for number, row in lines.records(file, separator):
        if len(row) != len(names):
            raise DataError(
                f"{file}, line {number}: {len(row)} fields where the first line names {len(names)} "
                f"({separator.join(row)[: lines.SHOWN]}); mend or remove the line"
            )
