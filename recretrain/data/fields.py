"""Fields are facts about users and items beside their ratings: genres, an age group, a zip code."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recretrain.sealed import reading

KINDS = ("user", "item")
FIELDS = "fields.json"  # which fields there are


@dataclass(frozen=True)
class Field:
    """One fact about every user, or about every item, as numbers of its values."""

    name: str
    size: int  # values are 0..size-1
    many: bool  # an id may have several values; else it has exactly one
    values: Tensor  # [n, m] int64, -1 after the last; m = 1 unless `many`

    def weights(self) -> Tensor:
        """1 / (number of the id's values) for each of them, 0 after the last.  # [n, m]"""
        present = (self.values >= 0).float()
        return present / present.sum(1, keepdim=True).clamp(min=1)


class Fields:
    """The fields of users and of items, in the order in which a model takes them."""

    def __init__(self, *, user: Sequence[Field], item: Sequence[Field]) -> None:
        self.user = list(user)
        self.item = list(item)


def read_fields(folder: Path) -> Fields:
    """The fields of a prepared folder (docs/contracts.md); none where its source knows none."""
    path = folder / FIELDS
    card: dict[str, Any] = {kind: [] for kind in KINDS}
    if path.is_file():
        with reading(path):
            card = json.loads(path.read_text())
    return Fields(**{kind: [_read(folder, kind, entry) for entry in entries] for kind, entries in card.items()})


def _read(folder: Path, kind: str, entry: Mapping[str, Any]) -> Field:
    with reading(field_file(folder, kind, entry["name"])) as file:
        values = torch.from_numpy(np.load(file)).long()
    return Field(entry["name"], entry["size"], entry["many"], values)


def field_file(folder: Path, kind: str, name: str) -> Path:
    """The values of one field."""
    return folder / f"{kind}_{name}.npy"
