"""The lineage of a stream: a digest a period of all that was there by its end, so that a stream that has only grown is
known as the same one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recretrain.data.fields import FIELDS, KINDS, field_file
from recretrain.once import made
from recretrain.sealed import SEAL, reading

_FILE = "lineage.json"
_RECIPE = ("format", "name", "reader", "options", "source", "spaces")  # of stream.json: how the rows were made
_BY_PERIOD = ("period_", "tokens_", "candidates_")  # files with a part for each period


def lineage(folder: Path) -> list[str]:
    """Digests of the periods of a prepared folder, each of its recipe and all periods so far with their new ids.

    They are kept in the folder. Fields of users and items belong to the period in which these are new; other facts
    beside the rows belong to the recipe: other ones are other data from the first period on.
    """
    with reading(made(folder / _FILE, lambda out: _write(folder, out))) as file:
        kept: list[str] = json.loads(file.read_text())
    return kept


def first_other(earlier: Sequence[str], now: Sequence[str]) -> int | None:
    """The first period of `earlier` that is another one now, or gone; None where the stream has only grown."""
    return next((place for place, one in enumerate(earlier) if list(now[place : place + 1]) != [one]), None)


def _write(folder: Path, out: BinaryIO) -> None:
    out.write(f"{json.dumps(_computed(folder))}\n".encode())


def _computed(folder: Path) -> list[str]:
    with reading(folder / "stream.json") as file:
        card = json.loads(file.read_text())
    digest = hashlib.sha256(json.dumps(_recipe(card), sort_keys=True).encode())
    fields = _fields(folder)
    for file in sorted(path for path in folder.iterdir() if _is_fact(path) and path not in fields):
        digest.update(file.name.encode())
        with reading(file):
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    digest.update(json.dumps([file.name for file in fields]).encode() if fields else b"")
    vocabularies = {kind: _table(folder / f"{kind}s.parquet") for kind in KINDS}
    values = {kind: [_values(file) for file in fields if file.name.startswith(f"{kind}_")] for kind in KINDS}
    found = []
    for index, period in enumerate(card["periods"]):
        digest.update(json.dumps([period["name"], period["rows"]]).encode())
        for kind, vocabulary in vocabularies.items():
            new = pc.equal(vocabulary.column("first_period"), index)
            _add(digest, vocabulary.filter(new))
            for of_field in values[kind]:
                _add_values(digest, of_field[new.to_numpy()])
        for prefix in _BY_PERIOD:
            for file in sorted(folder.glob(f"{prefix}{index:03d}.*")):
                _add_file(digest, file)
        found.append(digest.hexdigest()[:16])
    return found


def _recipe(card: dict[str, Any]) -> dict[str, Any]:
    recipe = {key: card[key] for key in _RECIPE if key in card}
    generated = card["source"] != "raw"
    return recipe | ({"files": card["files"]} if generated else {})  # these say how, and not by which files


def _fields(folder: Path) -> list[Path]:
    """The files with a row of values for each id, in order: those of users before those of items."""
    file = folder / FIELDS
    card: dict[str, Any] = {}
    if file.is_file():
        with reading(file):
            card = json.loads(file.read_text())
    return [field_file(folder, kind, entry["name"]) for kind in KINDS for entry in card.get(kind, ())]


def _add_values(digest: Any, values: npt.NDArray[np.int32]) -> None:
    """Values of some ids, each ending in -1, however wide their file is."""
    ends = np.full((len(values), 1), -1, dtype=np.int32)
    after_value = np.hstack([ends == -1, values >= 0])  # the first value, and what follows one: one -1 after the last
    digest.update(np.hstack([values, ends])[after_value].tobytes())


def _is_fact(path: Path) -> bool:
    """Whether a file of the folder tells of more than of periods, ids and their fields."""
    known = ("stream.json", "users.parquet", "items.parquet", FIELDS, _FILE, SEAL)
    return path.is_file() and not path.name.startswith((".", *_BY_PERIOD)) and path.name not in known


def _add_file(digest: Any, file: Path) -> None:
    """The contents, not the bytes: those of a parquet file name the version that wrote it."""
    if file.suffix == ".parquet":
        _add(digest, _table(file))
        return
    with reading(file):
        found = np.load(file, mmap_mode="r")
        if file.suffix == ".npz":
            with found as arrays:
                for name in sorted(arrays.files):
                    digest.update(np.ascontiguousarray(arrays[name]).data)
        else:
            digest.update(np.ascontiguousarray(found).data)


def _values(file: Path) -> npt.NDArray[np.int32]:
    with reading(file):
        found: npt.NDArray[np.int32] = np.load(file)
        return found


def _table(file: Path) -> pa.Table:
    with reading(file):
        return pq.read_table(file)


def _add(digest: Any, table: pa.Table) -> None:
    for name in table.column_names:
        column = table.column(name)
        digest.update(f"{name}:{column.type}".encode())
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            digest.update(np.ascontiguousarray(column.to_numpy()).data)
        else:
            digest.update(json.dumps(column.to_pylist(), default=str).encode())
