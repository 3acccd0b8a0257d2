"""What is known of users and items beside their rows: small text files, read in Python and numbered."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from recretrain.errors import DataError
from recretrain.preparation.sources.base import Connection
from recretrain.preparation.sources.lines import SHOWN

if TYPE_CHECKING:  # torch is slow to import, and listing data sets does without
    from recretrain.data.fields import Field

log = logging.getLogger(__name__)

UNKNOWN = "nan"  # as in MeLU's vocabularies


def records(file: Path, separator: str, fields: int, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line that is not blank."""
    with file.open(encoding=encoding, errors="replace", newline="\n") as text:
        for number, line in enumerate(text, start=1):
            if line.strip():
                found = line.rstrip("\r\n").split(separator)
                if len(found) != fields:
                    raise bad_line(file, number, line, f"{len(found)} fields separated by {separator!r}, not {fields}")
                yield number, found


def bad_line(file: Path, number: int, line: str, problem: str) -> DataError:
    return DataError(
        f"{file}, line {number} ({line.rstrip()[:SHOWN]}): {problem}; mend the line, or get the file again"
    )


def whole(file: Path, number: int, text: str) -> int:
    """An id that must be a whole number."""
    try:
        return int(text)
    except ValueError:
        raise bad_line(file, number, text, "the id is not a whole number") from None


def words(file: Path) -> list[str]:
    """A vocabulary: a value a line, in order of their numbers."""
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def keys_of(connection: Connection, table: str) -> list[Any]:
    """The raw ids of `users` or `items`, in order of their new ones."""
    return [key for (key,) in connection.sql(f"SELECT key FROM {table} ORDER BY id").fetchall()]


def numbered(
    name: str, told: Sequence[Sequence[str]], *, many: bool, vocabulary: Sequence[str] = (), size: int = 0
) -> Field:
    """`told` holds the values of every id; those that the vocabulary lacks come after it, in order of appearance."""
    import torch

    from recretrain.data.fields import Field

    number = {value: n for n, value in enumerate(vocabulary)}
    rows = [[number.setdefault(value, len(number)) for value in dict.fromkeys(values)] for values in told]
    if vocabulary and len(number) > len(vocabulary):
        log.info("%s: %d values that its vocabulary lacks are numbered after it", name, len(number) - len(vocabulary))
    longest = max(map(len, rows))
    padded = [row + [-1] * (longest - len(row)) for row in rows]
    return Field(name, max(size, len(number)), many, torch.tensor(padded, dtype=torch.int64))


def write_facts(folder: Path, fields: Mapping[str, Sequence[Field]], titles: Sequence[str]) -> None:
    """The fields of both kinds, and `titles.parquet` (id, title) for people."""
    from recretrain.data.fields import write_fields

    write_fields(folder, fields)
    ids = pa.array(range(len(titles)), pa.int64())
    pq.write_table(pa.table({"id": ids, "title": pa.array(titles, pa.string())}), folder / "titles.parquet")
