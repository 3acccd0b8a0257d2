"""Rows of unequal length are computed in groups of like length, so that little of what is computed is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor


def by_length(length: Tensor, limits: Sequence[int], widest: int) -> Iterator[tuple[Tensor, int]]:
    """The rows of every group that has any, and the group's greatest length; no row is longer than `widest`.

    # [N] -> [group] int64 each
    """
    borders = [-1, *(limit for limit in limits if limit < widest), widest]
    for low, high in pairwise(borders):
        rows = torch.nonzero((length > low) & (length <= high)).squeeze(1)
        if len(rows):
            yield rows, high


def put_together(parts: Sequence[Tensor], rows: Sequence[Tensor]) -> Tensor:
    """The results of all groups in the order of the rows.  # [group, ...], [group] each -> [N, ...]"""
    return torch.cat(list(parts))[torch.argsort(torch.cat(list(rows)))]
