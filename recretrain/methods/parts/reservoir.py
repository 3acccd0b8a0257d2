"""A reservoir is a uniform sample of all rows seen so far, in constant space (Vitter's algorithm R)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from recretrain.data.batches import permutation
from recretrain.data.interactions import Interactions


class Reservoir:
    """Users and items of at most `size` rows."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen = 0
        self._rows = Interactions(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))

    @property
    def rows(self) -> Interactions:
        return self._rows

    def start(self, rows: Interactions, generator: torch.Generator, *, latest: bool) -> None:
        """Fill it from history: a uniform sample, or the latest rows."""
        self._seen = len(rows)
        if latest:
            kept = torch.arange(max(0, len(rows) - self._size), len(rows))
        else:
            kept = permutation(len(rows), generator).cpu()[: self._size].sort().values
        self._rows = rows.rows(kept)

    def add(self, rows: Interactions, generator: torch.Generator) -> None:
        """Row number n is kept with probability size / n and then replaces a random slot."""
        number = torch.arange(self._seen + 1, self._seen + len(rows) + 1)
        kept = _uniform(len(rows), generator) * number < self._size
        slot = (_uniform(len(rows), generator) * len(self._rows)).long()
        self._seen += len(rows)
        # where several rows fall into one slot the last one stays
        winner = torch.full((len(self._rows),), -1).scatter_reduce_(0, slot[kept], torch.nonzero(kept)[:, 0], "amax")
        taken = winner >= 0
        user, item = self._rows.user.clone(), self._rows.item.clone()
        user[taken], item[taken] = rows.user[winner[taken]], rows.item[winner[taken]]
        self._rows = Interactions(user, item)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self._seen, "user": self._rows.user, "item": self._rows.item}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._seen = state["seen"]
        self._rows = Interactions(state["user"].cpu(), state["item"].cpu())


def _uniform(n: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=generator, device=generator.device, dtype=torch.float64).cpu()
