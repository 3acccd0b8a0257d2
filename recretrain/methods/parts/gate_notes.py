"""What a gate has learnt, as figures: how far rows follow the new data, by how active and how old they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from recretrain.data.interactions import Interactions
from recretrain.methods.base import Note
from recretrain.methods.parts.transfer import Gate, Transfer
from recretrain.methods.state import Stateful


class Met(Stateful):
    """Which users and items a run has had rows of."""

    kept: ClassVar[tuple[str, ...]] = ("user", "item")

    def __init__(self, tables: Mapping[str, Tensor]) -> None:
        """`tables`: by name, a row an id; a kind without a table is not noted."""
        sizes = {kind_of(name): len(table) for name, table in tables.items()}
        self.user, self.item = (
            torch.zeros(sizes[kind], dtype=torch.bool) if kind in sizes else None for kind in self.kept
        )

    def add(self, rows: Interactions) -> None:
        for met, ids in ((self.user, rows.user), (self.item, rows.item)):
            if met is not None:
                met[ids.cpu()] = True


def kind_of(table: str) -> str:
    """Whether the rows of a backbone's table are of users or of items, as `user` or `item`."""
    return "user" if table == "user" else "item"


def gate_notes(
    nets: Mapping[str, Transfer],
    previous: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    rows: Interactions,
    met: Met,
) -> list[Note]:
    """The mean gate of the ids of `rows` in each table, and of those that are ... (none of transfers without a gate).

    `gate_user`, `gate_item`: with rows in the period; `_low` and `_high`: at most, and more than, the median number of
    rows of these; `_new` and `_seen`: with their first rows, and met before; `_inactive`: met before, no rows now.
    An empty group has no note.
    """
    return [
        note
        for table, net in nets.items()
        if isinstance(net, Gate)
        for note in _notes(
            f"gate_{table}",
            net.mean(previous[table], fresh[table]).cpu(),
            torch.bincount(getattr(rows, kind_of(table)).cpu(), minlength=len(previous[table])),
            getattr(met, kind_of(table)),
        )
    ]


def _notes(name: str, gate: Tensor, count: Tensor, met: Tensor) -> Iterator[Note]:
    """`gate`, `count` of rows and whether met before: of every id, [N]."""
    active = count > 0
    middle = count[active].median()
    groups = {
        name: active,
        f"{name}_low": active & (count <= middle),
        f"{name}_high": count > middle,
        f"{name}_new": active & ~met,
        f"{name}_seen": active & met,
        f"{name}_inactive": met & ~active,
    }
    yield from (Note(group, 0, float(gate[ids].mean())) for group, ids in groups.items() if bool(ids.any()))
