"""Rows of unequal length are computed in groups of like length, so that little of what is computed is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor


def by_length(length: Tensor, limits: Sequence[int], widest: int) -> Iterator[tuple[Tensor, int]]:
    """Rows of each group that has any, and the most that one of it may have.  # [N] -> [group]"""
    borders = [-1, *(limit for limit in limits if limit < widest), widest]
    for low, high in pairwise(borders):
        rows = torch.nonzero((length > low) & (length <= high)).squeeze(1)
        if len(rows):
            yield rows, high


def put_together(parts: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """What was computed group by group, in the order of all rows."""
    return torch.cat(list(parts))[torch.argsort(torch.cat(list(rows)))]
