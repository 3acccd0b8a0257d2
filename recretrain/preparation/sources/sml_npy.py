"""The period files of SML's authors: the paper's exact periods, ids and stored negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from recretrain.errors import DataError
from recretrain.preparation.sources.base import Source
from recretrain.preparation.sql import Connection, Relation

Numbers = npt.NDArray[np.generic]
Ints = npt.NDArray[np.int64]
CHUNK = 4096  # rows of candidates copied at a time


@dataclass(frozen=True, kw_only=True)
class SmlNpy(Source):
    """`information.npy`: numbers of interactions, users, items; `train/<t>.npy`: user, item; `test/<t>.npy`: user, item
    and its candidates, the same interactions row by row.
    """

    layout: ClassVar[str] = "information.npy, train/<t>.npy and test/<t>.npy"

    def files_in(self, place: Path) -> list[Path]:
        information = place / "information.npy"
        if not information.is_file():
            return []
        return [information, *_by_period(place / "train"), *_by_period(place / "test")]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        users, items = self.vocabulary(files)
        train, test = _of(files, "train"), _of(files, "test")
        if not train:
            raise DataError(f"{files[0].parent / 'train'}: no period files (0.npy, 1.npy, ...); get them again")
        parts = []
        for file in train:
            pairs = _pairs(file, [p for p in test if p.stem == file.stem])
            _check_ids(file, pairs, users, items)
            parts.append(pa.table({"user": pairs[:, 0], "item": pairs[:, 1], "period": _period(file, len(pairs))}))
        return connection.from_arrow(pa.concat_tables(parts))

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return True

    def place_of(self, files: Sequence[Path], row: int) -> str:
        for file in _of(files, "train"):
            rows = len(_load(file))
            if row < rows:
                return f"{file}, row {row}"
            row -= rows
        raise IndexError(row)

    def vocabulary(self, files: Sequence[Path]) -> tuple[int, int]:
        information = _load(files[0]).reshape(-1)
        if len(information) < 3:
            raise DataError(
                f"{files[0]}: {len(information)} numbers; it should hold those of interactions, users, items"
            )
        return int(information[1]), int(information[2])

    def write_candidates(self, files: Sequence[Path], folder: Path) -> None:
        _, items = self.vocabulary(files)
        for file in _of(files, "test"):
            stored = _load(file)
            shape = (len(stored), stored.shape[1] - 2)
            target = folder / f"candidates_{int(file.stem):03d}.npy"
            copy = np.lib.format.open_memmap(target, mode="w+", dtype=np.int32, shape=shape)
            for start in range(0, len(stored), CHUNK):
                chunk = _whole(file, stored[start : start + CHUNK, 2:])
                if chunk.size and not 0 <= chunk.min() <= chunk.max() < items:
                    raise DataError(
                        f"{file}: candidates outside 0..{items - 1} from row {start} on; get the file again"
                    )
                copy[start : start + CHUNK] = chunk
            copy.flush()


def _by_period(folder: Path) -> list[Path]:
    return sorted((f for f in folder.glob("*.npy") if f.stem.isdigit()), key=lambda f: int(f.stem))


def _of(files: Sequence[Path], part: Literal["train", "test"]) -> list[Path]:
    return [f for f in files if f.parent.name == part]


def _load(file: Path) -> Numbers:
    try:
        array: Numbers = np.load(file, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{file}: not a readable .npy file ({error}); get it again") from error
    return array


def _whole(file: Path, numbers: Numbers) -> Ints:
    whole = np.array(numbers, dtype=np.int64)
    if not np.array_equal(whole, numbers):
        raise DataError(f"{file}: numbers that are not whole; get the file again")
    return whole


def _pairs(train: Path, test: Sequence[Path]) -> Ints:
    """User and item of every interaction, in the order of the candidates where there are any.  # [N, 2]"""
    pairs = _whole(train, _load(train)[:, :2])
    for file in test:
        asked = _whole(file, _load(file)[:, :2])
        if not np.array_equal(_sorted(asked), _sorted(pairs)):
            raise DataError(f"{file} and {train} hold different interactions; get both from the same place")
        pairs = asked
    return pairs


def _sorted(pairs: Ints) -> Ints:
    return pairs[np.lexsort(pairs.T)]


def _check_ids(file: Path, pairs: Ints, users: int, items: int) -> None:
    for column, kind, size in ((0, "user", users), (1, "item", items)):
        outside = np.flatnonzero((pairs[:, column] < 0) | (pairs[:, column] >= size))
        if len(outside):
            raise DataError(
                f"{file}: {kind} {pairs[outside[0], column]}, but information.npy says {size} {kind}s (0..{size - 1}); "
                f"get all files from the same place"
            )


def _period(file: Path, rows: int) -> npt.NDArray[np.int32]:
    return np.full(rows, int(file.stem), dtype=np.int32)
