"""Text files a line an event: where row n stands, and which line DuckDB could not read."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from recretrain.errors import DataError

SHOWN = 120  # characters of a faulty line in a message


def open_text(file: Path) -> IO[str]:
    """Open text of any bytes, plain or .gz: a faulty line must be shown, whatever it holds."""
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding="utf-8", errors="replace", newline="\n")
    return file.open(encoding="utf-8", errors="replace", newline="\n")


def numbered_lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers from 1 on; a DataError where a gzip ends too early."""
    last = 0
    with open_text(file) as text:
        try:
            for last, line in enumerate(text, start=1):
                if line.strip():
                    yield last, line.rstrip("\n")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(
                f"{file}: the gzip is cut short or damaged after line {last} ({error}); get the file again"
            ) from error


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


def check_json(files: Sequence[Path]) -> None:
    """Raise a DataError for the first line that is not a JSON object, or for a damaged gzip."""
    for file in files:
        for number, line in numbered_lines(file):
            problem = _problem(line)
            if problem:
                raise DataError(
                    f"{file}, line {number}: {problem} ({line[:SHOWN]}); mend or remove the line, or get the file again"
                )


def _problem(line: str) -> str | None:
    try:
        return None if isinstance(json.loads(line), dict) else "not a JSON object"
    except json.JSONDecodeError as error:
        return f"not JSON, {error.msg} at character {error.pos + 1}"
