"""Interactions are columns, one row an interaction; ragged rows are those of unequal length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

PAD = -1  # in place of an id where a row of ids is shorter than the others


@dataclass(frozen=True)
class Interactions:
    """A columnar table, one row an interaction, in the order it happened."""

    user: Tensor  # [N] int64
    item: Tensor  # [N] int64
    other: Mapping[str, Tensor] = field(default_factory=dict)  # time (unix seconds), rating, ...: [N] each

    def __len__(self) -> int:
        return len(self.user)

    def rows(self, index: Tensor | slice) -> Interactions:
        return Interactions(self.user[index], self.item[index], {k: v[index] for k, v in self.other.items()})

    def to(self, device: torch.device | str) -> Interactions:
        return Interactions(
            self.user.to(device), self.item.to(device), {k: v.to(device) for k, v in self.other.items()}
        )


def concatenate(parts: Sequence[Interactions]) -> Interactions:
    """The rows of all parts, in order; columns that not every part has are left out."""
    if not parts:
        raise ValueError("no periods to join")
    shared = set(parts[0].other).intersection(*(p.other for p in parts))
    return Interactions(
        torch.cat([p.user for p in parts]),
        torch.cat([p.item for p in parts]),
        {k: torch.cat([p.other[k] for p in parts]) for k in sorted(shared)},
    )


@dataclass(frozen=True)
class Ragged:
    """Rows of unequal length: row q is `values[offsets[q]:offsets[q + 1]]`."""

    offsets: Tensor  # [Q + 1] int64
    values: Tensor  # [offsets[-1]]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, start: int, stop: int) -> Ragged:
        first, last = self.offsets[start], self.offsets[stop]
        return Ragged(self.offsets[start : stop + 1] - first, self.values[first:last])

    def at(self, index: Tensor) -> Ragged:
        """The rows at these positions, in their order."""
        length = torch.diff(self.offsets)[index]
        offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
        within = torch.arange(int(offsets[-1]), device=length.device) - torch.repeat_interleave(offsets[:-1], length)
        return Ragged(offsets, self.values[torch.repeat_interleave(self.offsets[:-1][index], length) + within])

    def row_of_value(self) -> Tensor:
        """The row each value belongs to.  # [len(values)]"""
        return torch.repeat_interleave(torch.diff(self.offsets), output_size=len(self.values))


def padded(columns: Sequence[Tensor], *, before: bool = False) -> Tensor:
    """Matrices of unequal width, one below the other; `PAD` (ids) or 0 (numbers) fills up, at the end of a row or
    `before` its first entry.  # [N, W]
    """
    width = max(column.shape[1] for column in columns)
    fill = 0.0 if columns[0].is_floating_point() else PAD
    missing = [width - column.shape[1] for column in columns]
    sides = [(n, 0) if before else (0, n) for n in missing]
    pad = torch.nn.functional.pad
    return torch.cat([pad(column, side, value=fill) for column, side in zip(columns, sides, strict=True)])
