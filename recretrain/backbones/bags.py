"""A bag is which items a history holds, without order and without how often."""

from __future__ import annotations

from torch import Tensor

from recretrain.data.interactions import PAD


def distinct(history: Tensor) -> Tensor:
    """The items of each history once, in ascending order; PAD in all other columns.  # [B, T] -> [B, T]"""
    ordered = history.sort(1).values
    again = ordered[:, 1:] == ordered[:, :-1]
    ordered[:, 1:] = ordered[:, 1:].masked_fill(again, PAD)
    return ordered
