"""Lists and tables of raw ids in files, and recommendations out to one."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from recretrain.errors import ConfigError, DataError
from recretrain.visible import first_line

TABLES = (".csv", ".parquet")


def ids_in(file: Path, column: str) -> list[Any]:
    """Raw ids: the column of a .csv or .parquet file, of any other file each line.

    Raises DataError for a file that cannot be read or has no such column.
    """
    if file.suffix in TABLES:
        return list(table_in(file, [column])[column])
    try:
        text = _there(file).read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8 ({error.reason}); save it as such, one raw id a line") from error
    return [line for line in (part.removesuffix("\r") for part in text.split("\n")) if line]  # ids may hold U+2028


def table_in(file: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A .csv file, all of it text, or a .parquet file with its types.

    Raises DataError for a file that cannot be read or lacks one of the columns.
    """
    if file.suffix not in TABLES:
        raise DataError(f"{file} must be a .csv or .parquet file, with the names of its columns")
    try:
        frame = _csv(_there(file)) if file.suffix == ".csv" else _parquet(_there(file))
    except DataError:
        raise
    except (ValueError, pa.ArrowException) as error:  # wrong letters are ValueErrors
        raise DataError(f"{file} cannot be read: {first_line(error)}") from error
    for column in columns:
        if column not in frame.columns:
            raise DataError(f"{file} has no column {column!r}; it has {', '.join(map(str, frame.columns))}")
    return frame


def check_suffix(file: Path) -> None:
    """Raise ConfigError where recommendations cannot be written to a file of this name."""
    if file.suffix not in TABLES:
        raise ConfigError(f"--out {file}: its name must end in .parquet or .csv")


def write(chunks: Iterable[pd.DataFrame], file: Path) -> int:
    """Write recommendations as they come, aside, then rename; returns the number of rows."""
    check_suffix(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        rows = _write_csv(chunks, aside) if file.suffix == ".csv" else _write_parquet(chunks, aside)
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)
    return rows


def _write_csv(chunks: Iterable[pd.DataFrame], file: Path) -> int:
    rows = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        for place, chunk in enumerate(chunks):
            chunk.to_csv(out, index=False, header=place == 0)
            rows += len(chunk)
    return rows


def _write_parquet(chunks: Iterable[pd.DataFrame], file: Path) -> int:
    rows, writer = 0, None
    try:
        for chunk in chunks:
            table = pa.Table.from_pandas(chunk, schema=writer and writer.schema, preserve_index=False)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
            rows += len(chunk)
    finally:
        if writer is not None:
            writer.close()
    return rows


def _csv(file: Path) -> pd.DataFrame:
    """Every field as it stands. Raises DataError for a line that does not fit the first one."""
    with file.open(encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text, strict=True)
        try:
            names = next(lines, [])
            rows = [_fitting(file, lines.line_num, row, names) for row in lines if row]
        except csv.Error as error:
            raise DataError(f"{file}, line {lines.line_num}: {error}; mend the line") from error
    if not names:
        raise DataError(f"{file} is empty; its first line must name the columns")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{file}, line 1: {names.count(twice)} columns are called {twice!r}; name each differently")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in zip(names, columns, strict=True)})


def _fitting(file: Path, line: int, row: list[str], names: Sequence[str]) -> list[str]:
    if len(row) != len(names):
        raise DataError(
            f"{file}, line {line}: {len(row)} fields where the first line names {len(names)}; mend the line"
        )
    return row


def _parquet(file: Path) -> pd.DataFrame:
    """Numbers stay whole beside missing ones, which pandas would turn into fractions."""
    table = pq.read_table(file)
    return pd.DataFrame({name: pd.Series(table.column(name).to_pylist(), dtype=object) for name in table.column_names})


def _there(file: Path) -> Path:
    if not file.is_file():
        raise DataError(f"there is no file {file}; check its name")
    return file
