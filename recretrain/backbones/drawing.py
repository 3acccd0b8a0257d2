"""The first weights of tables with a row an id: a row depends on its id and the seed, never on how many ids follow.

So a run whose data have grown gives its new users and items the rows that it would have given them from the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

GLOROT = "the scale of its first rows counts all items, later ones too, as its authors have it"

_BLOCK = 1024  # rows drawn together, from a generator of their own; part of the seed's meaning
_STRIDE = 0x9E3779B97F4A7C15  # between the seeds of blocks: odd, so that no two of 2**63 are the same


def normal_rows_(table: Tensor, std: float, generator: torch.Generator | None) -> None:
    """Fill with N(0, std).  # [N, ...]"""
    _by_blocks(table, lambda rows, own: rows.normal_(0.0, std, generator=own), generator)


def uniform_rows_(table: Tensor, bound: float, generator: torch.Generator | None) -> None:
    """Fill with U(-bound, bound).  # [N, ...]"""
    _by_blocks(table, lambda rows, own: rows.uniform_(-bound, bound, generator=own), generator)


def glorot_rows_(table: Tensor, generator: torch.Generator | None) -> None:
    """Fill Glorot-uniform; the bound counts the rows, on which a row's scale, and that alone, depends.  # [N, d]"""
    uniform_rows_(table, math.sqrt(6 / sum(table.shape)), generator)


@torch.no_grad()
def _by_blocks(
    table: Tensor, fill: Callable[[Tensor, torch.Generator], object], generator: torch.Generator | None
) -> None:
    """Fill block by block; `generator`, by default torch's own, gives one number, whatever the table's length."""
    device = torch.device("cpu") if generator is None else generator.device
    seed = int(torch.randint(2**62, (), generator=generator, device=device))
    own = torch.Generator()  # of the CPU: the same numbers wherever the table is
    rows = torch.empty(
        _BLOCK, *table.shape[1:], dtype=table.dtype
    )  # always whole: what is drawn depends on how much is
    for place, block in enumerate(torch.split(table, _BLOCK)):
        fill(rows, own.manual_seed((seed + place * _STRIDE) % 2**63))
        block.copy_(rows[: len(block)])
