"""Text files a line an event: where row n stands, and which line DuckDB could not read."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, AnyStr

import duckdb
import pyarrow as pa

from recretrain.errors import DataError

SHOWN = 120  # characters of a faulty line in a message
LONGEST = 2**24  # bytes of a line, as DuckDB's reader of JSON takes; a longer one is no event
_BLOCK = 2**20  # bytes looked at together, of which a line too long covers one at least
BOM = "\ufeff"  # which some programs write before the first line
BROKEN = (EOFError, OSError, zlib.error, pa.ArrowException)  # of a packed file that is damaged


def open_bytes(file: Path) -> IO[bytes]:
    """Open a file, plain, .gz or .zst."""
    if file.suffix == ".gz":
        return io.BufferedReader(gzip.open(file, "rb"))
    if file.suffix == ".zst":
        return io.BufferedReader(pa.input_stream(str(file), compression="zstd"))
    return file.open("rb")


def open_text(file: Path) -> IO[str]:
    """Open text of any bytes: a faulty line must be shown, whatever it holds."""
    return io.TextIOWrapper(open_bytes(file), encoding="utf-8", errors="replace", newline="\n")


def bounded(opened: IO[AnyStr], file: Path) -> Iterator[AnyStr]:
    """The lines of an open file; a DataError for one that would fill the memory."""
    number = 0
    while line := opened.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise DataError(
                f"{file}, line {number}: the line is longer than {LONGEST // 2**20} MB, and should be one event; "
                "get the file again, or give each event a line of its own"
            )
        yield line


def check_lengths(file: Path) -> None:
    """Raise a DataError for a line that would fill the memory; DuckDB may leave such a one out without a word."""
    with open_bytes(file) as opened:
        found = any(b"\n" not in block for block in iter(lambda: opened.read(_BLOCK), b"") if len(block) == _BLOCK)
    if found:  # which of them, and whether it is that long
        with open_bytes(file) as opened:
            for _ in bounded(opened, file):
                pass


def numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1 on; a DataError where a packed file ends too early."""
    last = 0
    with open_text(file) as text:
        try:
            for last, line in enumerate(bounded(text, file), start=1):
                line = line.removeprefix(BOM) if last == 1 else line
                if line.strip():
                    yield last, line.rstrip("\n")
        except BROKEN as error:
            raise _broken(file, last, error) from error


def records(file: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The fields of every record that is not blank, with the number of its last line; quoted fields may hold breaks."""
    with open_text(file) as text:
        rows = csv.reader(bounded(text, file), delimiter=separator)
        try:
            for row in rows:
                if any(field.strip() for field in row) or len(row) > 1:
                    yield rows.line_num, [row[0].removeprefix(BOM), *row[1:]] if rows.line_num == 1 else row
        except BROKEN as error:
            raise _broken(file, rows.line_num, error) from error
        except csv.Error as error:
            raise DataError(f"{file}, line {rows.line_num}: {error}; mend or remove the line") from error


def place_of(files: Sequence[Path], row: int, *, header: int = 0) -> str:
    """File, line and text of row `row`, counted from 0 over all files; every file starts with `header` lines."""
    left = row
    for file in files:
        for order, (number, line) in enumerate(numbered_lines(file)):
            if order < header:
                continue
            if left == 0:
                return f"{file}, line {number} ({line[:SHOWN]})"
            left -= 1
    raise IndexError(row)


def check_header(file: Path, names: Sequence[str], separator: str) -> None:
    """Raise a DataError where the first line does not begin with these names.

    Upper case, quotes, blanks, dashes and underscores do not count.
    """
    first = next((line for _, line in numbered_lines(file)), "")
    expected = separator.join(names)
    if not f"{_plain(first)}{separator}".startswith(f"{_plain(expected)}{separator}"):
        raise DataError(
            f"{file}: its first line is {first.strip()[:SHOWN]!r} and not {expected!r}; put this line before it, or "
            "get the file again"
        )


def check_no_header(file: Path, separator: str) -> None:
    """Raise a DataError for a first line that names columns, in a file whose lines hold ids alone."""
    first = next((line for _, line in numbered_lines(file)), "")
    if first and not any(field.strip()[:1].isdigit() for field in first.split(separator)):
        raise DataError(
            f"{file}, line 1 ({first.strip()[:SHOWN]}): it looks like the names of columns, which this file has not; "
            "remove the line"
        )


def check_json(files: Sequence[Path]) -> None:
    """Raise a DataError for the first line that is not a JSON object, or for a damaged gzip."""
    for file in files:
        check_utf8(file)
        for number, line in numbered_lines(file):
            problem = _problem(line)
            if problem:
                raise DataError(
                    f"{file}, line {number}: {problem} ({line[:SHOWN]}); mend or remove the line, or get the file again"
                )


def check_utf8(file: Path) -> None:
    """Raise a DataError for the first line that is not UTF-8."""
    number = 0
    with open_bytes(file) as opened:
        try:
            for line in bounded(opened, file):
                number += 1
                line.decode("utf-8")
        except BROKEN as error:
            raise _broken(file, number, error) from error
        except UnicodeDecodeError as error:
            shown = line.decode("latin-1").rstrip()[:SHOWN]
            raise DataError(
                f"{file}, line {number} ({shown}): not UTF-8 text; convert the file, for example by "
                f"`iconv -f latin1 -t utf-8 {file.name} > utf8-{file.name}`"
            ) from error


def in_short(error: duckdb.Error) -> str:
    """Shorten an error of DuckDB about a file to the number of the line and the cause."""
    first, *others = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    if not (found := re.search(r"CSV Error on Line: (\d+)", first)):
        return first
    cause = next((line for line in others if not line.startswith(("Original Line", "Possible"))), first)
    return f"line {found[1]}: {cause}; mend or remove the line, or get the file again"


def starts_with_bom(file: Path) -> bool:
    with open_bytes(file) as opened:
        try:
            return opened.read(3) == BOM.encode()
        except BROKEN:
            return False


def _broken(file: Path, line: int, error: Exception) -> DataError:
    return DataError(
        f"{file}: the {'gzip' if file.suffix == '.gz' else 'file'} is cut short or damaged after line {line} "
        f"({error}); get the file again"
    )


def _plain(header: str) -> str:
    return "".join(letter for letter in header.lower() if letter not in "\"' _-\r")


def _problem(line: str) -> str | None:
    try:
        return None if isinstance(json.loads(line), dict) else "not a JSON object"
    except json.JSONDecodeError as error:
        return f"not JSON, {error.msg} at character {error.pos + 1}"
    except RecursionError:
        return "nested too deep"
