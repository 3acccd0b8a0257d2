"""Small prepared folders, written straight in the layout of docs/contracts.md."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from recretrain.data.fields import Field
from recretrain.data.questions import Arrivals
from recretrain.data.stream import Stream
from recretrain.preparation.sources.facts import Fact, write_fields

Slices = Sequence[tuple[Sequence[int], Sequence[int]]]  # users and items of each period


def write_stream(folder: Path, slices: Slices, *, n_users: int, n_items: int, source: str = "raw") -> Path:
    folder.mkdir(parents=True)
    first_user, first_item = np.full(n_users, len(slices)), np.full(n_items, len(slices))
    for index, (users, items) in reversed(list(enumerate(slices))):
        first_user[list(users)], first_item[list(items)] = index, index
        rating = pa.array(ratings(users, items), pa.float32())
        table = pa.table({"user": pa.array(users, pa.int64()), "item": pa.array(items, pa.int64()), "rating": rating})
        pq.write_table(table, folder / f"period_{index:03d}.parquet")
    for name, first in (("users", first_user), ("items", first_item)):
        ids = np.arange(len(first))
        pq.write_table(
            pa.table({"id": ids, "key": ids, "first_period": first.astype(np.int32)}), folder / f"{name}.parquet"
        )
    card = {
        "format": 1,
        "name": "tiny",
        "source": source,
        "digest": "0",
        "n_users": n_users,
        "n_items": n_items,
        "periods": [{"name": str(index), "rows": len(users)} for index, (users, _) in enumerate(slices)],
    }
    (folder / "stream.json").write_text(json.dumps(card))
    known = {"user": fields(n_users, "age"), "item": fields(n_items, "genre")}
    facts = {kind: [Fact(f.name, f.size, f.many, f.values.int().numpy()) for f in of] for kind, of in known.items()}
    write_fields(folder, facts)
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
    folder: Path, *, candidates: int | None = 20, catalogue: str = "sampled", history: int | None = None
) -> Stream:
    return Stream(folder, Arrivals(candidates, catalogue == "full", history, seed=0))
