"""Settings are chosen by the error on held-out ratings, from small grids that are told beside the result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Ratings
from recretrain.methods.base import Note

Setting = Mapping[str, float]
M = TypeVar("M")


def settings(grid: Mapping[str, Sequence[float]], *, held_out: bool) -> list[dict[str, float]]:
    """All combinations of a grid; where nothing is held out to choose by, the middle of each list."""
    values = [list(some) if held_out else [some[len(some) // 2]] for some in grid.values()]
    return [dict(zip(grid, point, strict=True)) for point in itertools.product(*values)]


class Search(Generic[M]):
    """Keeps what was made by the best setting so far; of equals the first."""

    def __init__(self) -> None:
        self.made: M | None = None
        self.setting: Setting = {}
        self.error = float("inf")

    def offer(self, setting: Setting, error: float, made: M) -> None:
        if self.made is None or error < self.error:
            self.made, self.setting, self.error = made, dict(setting), error

    @property
    def best(self) -> M:
        if self.made is None:
            raise ValueError("nothing was offered")
        return self.made

    def notes(self) -> list[Note]:
        """The setting that was chosen, and its error where there was one."""
        error = [Note("valid_mse", 0, self.error)] if self.error < float("inf") else []
        return [*error, *(Note(name, 0, float(value)) for name, value in self.setting.items())]


class HeldOut:
    """Held-out ratings, one a row, as tensors on a device."""

    def __init__(self, asked: Ratings | None, device: torch.device) -> None:
        rows = (_NOTHING if asked is None else asked.queries()).to(device)
        self.user = rows.user
        self.item = rows.item
        self.rating = rows.other["rating"].double()

    def __len__(self) -> int:
        return len(self.user)

    def error(self, predicted: Tensor) -> float:
        """The mean squared error; infinite where nothing is held out.  # [N]"""
        return float((predicted.double() - self.rating).square().mean()) if len(self) else float("inf")


_NOBODY = torch.zeros(0, dtype=torch.long)
_NOTHING = Interactions(_NOBODY, _NOBODY, {"rating": torch.zeros(0)})
