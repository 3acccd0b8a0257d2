"""Small prepared folders, written straight in the layout of docs/contracts.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from recretrain.data.fields import Field
from recretrain.data.questions import Arrivals
from recretrain.data.stream import Asks, Stream
from recretrain.preparation.sources.facts import Fact, write_fields

Slices = Sequence[tuple[Sequence[int], Sequence[int]]]  # users and items of each period
DAY = 86_400  # seconds
WORDS = 40  # of the texts


def write_stream(
    folder: Path,
    slices: Slices,
    *,
    n_users: int,
    n_items: int,
    parts: Sequence[Sequence[int]] | None = None,
    spaces: Mapping[str, Sequence[int]] | None = None,
) -> Path:
    """Write the rows of each period, a day each, with time and rating, and two fields for users and for items.

    `parts`: of each row of each period, by their numbers in `stream.PARTS`. `spaces`: the items of each space; a period
    is about the space of its last row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first_user, first_item = np.full(n_users, len(slices)), np.full(n_items, len(slices))
    for index, (users, items) in reversed(list(enumerate(slices))):
        first_user[list(users)], first_item[list(items)] = index, index
        columns = {
            "user": pa.array(users, pa.int64()),
            "item": pa.array(items, pa.int64()),
            "time": pa.array(np.arange(len(users)) + index * DAY, pa.float64()),
            "rating": pa.array(ratings(users, items), pa.float32()),
        }
        if parts is not None:
            columns["part"] = pa.array(parts[index], pa.int8())
        pq.write_table(pa.table(columns), folder / f"period_{index:03d}.parquet")
    space_of = {item: place for place, own in enumerate((spaces or {}).values()) for item in own}
    for name, first in (("users", first_user), ("items", first_item)):
        ids = np.arange(len(first))
        table = {"id": ids, "key": ids, "first_period": first.astype(np.int32)}
        if name == "items" and spaces:
            table["space"] = np.array([space_of[int(item)] for item in ids], dtype=np.int16)
        pq.write_table(pa.table(table), folder / f"{name}.parquet")
    (folder / "stream.json").write_text(json.dumps(_card(slices, n_users, n_items, spaces, space_of)))
    known = {"user": fields(n_users, "age"), "item": fields(n_items, "genre")}
    facts = {kind: [Fact(f.name, f.size, f.many, f.values.int().numpy()) for f in of] for kind, of in known.items()}
    write_fields(folder, facts)
    return folder


def write_texts(folder: Path, slices: Slices) -> Path:
    """Add texts of two words a row, the user's and the item's, and vectors of words."""
    for index, (users, items) in enumerate(slices):
        words = np.stack([np.asarray(users) % 20, 20 + np.asarray(items) % 20], 1).astype(np.int32)
        offsets = 2 * np.arange(len(words) + 1, dtype=np.int64)
        np.savez(folder / f"tokens_{index:03d}.npz", offsets=offsets, values=words.flatten())
    vectors = np.random.default_rng(0).normal(size=(WORDS, 8)).astype(np.float32)
    np.save(folder / "word_vectors.npy", vectors)
    file = folder / "stream.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"tokens": WORDS}))
    return folder


def ratings(users: Sequence[int], items: Sequence[int]) -> list[int]:
    """1 to 5, by the fields below."""
    return [1 + item % 3 + user // 2 % 2 for user, item in zip(users, items, strict=True)]


def fields(n: int, name: str) -> list[Field]:
    """One value of four, and one or two of five."""
    ids = torch.arange(n)
    some = torch.stack([ids % 3, torch.where(ids % 2 == 0, 3 + ids % 4 // 2, -1)], 1)
    return [Field(name, 4, False, (ids % 4).unsqueeze(1)), Field(f"{name}s", 5, True, some)]


def tasteful_slices(periods: int, rows: int, *, n_users: int, n_items: int, seed: int = 0) -> Slices:
    """Even users take even items and odd users odd ones, low ids more often; every id appears in period 0."""
    rng = np.random.default_rng(seed)
    slices = []
    for index in range(periods):
        users = rng.integers(n_users, size=rows)
        items = np.minimum(rng.geometric(3 / n_items, size=rows), n_items // 2 - 1) * 2 + users % 2
        if index == 0:
            users = np.concatenate([users, np.arange(n_users), np.arange(n_items) % 2])
            items = np.concatenate([items, np.arange(n_users) % 2, np.arange(n_items)])
        slices.append((users.tolist(), items.tolist()))
    return slices


def open_stream(
    folder: Path,
    *,
    candidates: int | None = 20,
    full: bool = False,
    history: int | None = None,
    asks: Asks | None = None,
) -> Stream:
    """A stream whose every interaction is asked, or of which `asks` makes the questions."""
    asked = Arrivals(
        candidates=candidates,
        catalogue="full" if full or candidates is None else "sampled",
        history=history,
        history_space=None,
        had="left_out",
        seed=0,
        draws="stored",
    )
    return Stream(folder, asks or asked)


def _card(
    slices: Slices,
    n_users: int,
    n_items: int,
    spaces: Mapping[str, Sequence[int]] | None,
    space_of: Mapping[int, int],
) -> dict[str, Any]:
    periods = [
        {"name": str(index), "rows": len(users), **({"space": space_of[items[-1]]} if spaces else {})}
        for index, (users, items) in enumerate(slices)
    ]
    card = {"format": 1, "name": "tiny", "source": "raw", "digest": "0", "n_users": n_users, "n_items": n_items}
    return {**card, "periods": periods, **({"spaces": list(spaces)} if spaces else {})}
