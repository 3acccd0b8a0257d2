"""Facts about users and items beside their rows: small text files, read in Python, numbered and written as fields."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from recretrain.errors import DataError
from recretrain.preparation.sources.lines import SHOWN, bounded
from recretrain.preparation.sql import Connection

log = logging.getLogger(__name__)

LARGEST_ID = 2**63 - 1  # that a column of whole numbers holds
UNKNOWN = "nan"  # as in MeLU's vocabularies


@dataclass(frozen=True)
class Fact:
    """One fact about all users or all items, its values numbered; `recretrain.data.fields` reads it as a field."""

    name: str
    size: int  # values are 0..size-1
    many: bool  # an id may have several values; else it has exactly one
    values: npt.NDArray[np.int32]  # [n, m], -1 after the last; m = 1 unless `many`


def split_lines(file: Path, separator: str, fields: int, encoding: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line that is not blank."""
    empty = True
    with file.open(encoding=encoding, errors="replace", newline="\n") as text:
        for number, line in enumerate(bounded(text, file), start=1):
            if line.strip():
                empty = False
                found = line.rstrip("\r\n").split(separator)
                if len(found) != fields:
                    raise bad_line(file, number, line, f"{len(found)} fields separated by {separator!r}, not {fields}")
                yield number, found
    if empty:
        raise DataError(f"{file}: the file is empty; get it again")


def bad_line(file: Path, number: int, line: str, problem: str) -> DataError:
    return DataError(
        f"{file}, line {number} ({line.rstrip()[:SHOWN]}): {problem}; mend the line, or get the file again"
    )


def whole(file: Path, number: int, text: str) -> int:
    """Read an id that must be a whole number; a DataError names the line."""
    try:
        found = int(text)
    except ValueError:
        raise bad_line(file, number, text, "the id is not a whole number") from None
    if abs(found) > LARGEST_ID:
        raise bad_line(file, number, text, "the id is no number of 64 bits")
    return found


def words(file: Path) -> list[str]:
    """The values of a vocabulary, one a line, in order of their numbers."""
    return [line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def keys_of(connection: Connection, table: str) -> list[Any]:
    """The raw ids of `users` or `items`, in order of their new ones."""
    return [key for (key,) in connection.sql(f"SELECT key FROM {table} ORDER BY id").fetchall()]


def numbered(
    name: str, values: Sequence[Sequence[str]], *, many: bool, vocabulary: Sequence[str] = (), size: int = 0
) -> Fact:
    """The fact whose `values` of every id are given; `size` is the least of its table.

    Values are numbered as in the vocabulary; those that it lacks come after it, in order of appearance.
    """
    number = {value: n for n, value in enumerate(vocabulary)}
    rows = [[number.setdefault(value, len(number)) for value in dict.fromkeys(of_id)] for of_id in values]
    if vocabulary and len(number) > len(vocabulary):
        log.info("%s: %d values that its vocabulary lacks are numbered after it", name, len(number) - len(vocabulary))
    longest = max(map(len, rows))
    padded = [row + [-1] * (longest - len(row)) for row in rows]
    return Fact(name, max(size, len(number)), many, np.array(padded, dtype=np.int32).reshape(len(rows), longest))


def write_facts(folder: Path, facts: Mapping[str, Sequence[Fact]], titles: Sequence[str]) -> None:
    """Write the facts of both kinds, and `titles.parquet` (id, title) for people."""
    write_fields(folder, facts)
    ids = pa.array(range(len(titles)), pa.int64())
    pq.write_table(pa.table({"id": ids, "title": pa.array(titles, pa.string())}), folder / "titles.parquet")


def write_fields(folder: Path, facts: Mapping[str, Sequence[Fact]]) -> None:
    """Write `fields.json` and one array a fact (docs/contracts.md); `facts` are those of "user" and of "item"."""
    card = {
        kind: [{"name": fact.name, "size": fact.size, "many": fact.many} for fact in facts.get(kind, ())]
        for kind in ("user", "item")
    }
    for kind, known in facts.items():
        for fact in known:
            np.save(folder / f"{kind}_{fact.name}.npy", fact.values)
    (folder / "fields.json").write_text(json.dumps(card, indent=1) + "\n")
