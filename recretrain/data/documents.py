"""A document is all that a user wrote, or that was written about an item, as tokens: a field that grows with time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recretrain.data.fields import Field, Fields
from recretrain.data.interactions import PAD, Interactions, Ragged
from recretrain.errors import DataError

DOCUMENT = "document"  # the name of the field


def read_tokens(folder: Path, period: int) -> Ragged:
    """The tokens of a period's texts, row by row with the period's file."""
    file = folder / f"tokens_{period:03d}.npz"
    if not file.is_file():
        raise DataError(f"{folder.name} has no texts ({file.name}); use data with reviews")
    with np.load(file) as stored:
        return Ragged(torch.from_numpy(stored["offsets"]).long(), torch.from_numpy(stored["values"]).long())


def documents(
    texts: Sequence[tuple[Interactions, Ragged]], sizes: tuple[int, int], vocabulary: int, longest: int
) -> Fields:
    """One field of tokens for users and one for items, both [n, <= longest], from texts in order of time.

    `sizes`: numbers of users and of items; `vocabulary`: tokens are 0..vocabulary-1.
    """
    tokens = torch.cat([text.values for _, text in texts])
    length = torch.cat([torch.diff(text.offsets) for _, text in texts])
    whose = [torch.cat([getattr(rows, kind) for rows, _ in texts]) for kind in ("user", "item")]
    owners = [torch.repeat_interleave(ids, length) for ids in whose]
    user, item = (_first(tokens, owner, n, longest) for owner, n in zip(owners, sizes, strict=True))
    return Fields(user=[Field(DOCUMENT, vocabulary, True, user)], item=[Field(DOCUMENT, vocabulary, True, item)])


def _first(tokens: Tensor, owner: Tensor, n: int, longest: int) -> Tensor:
    """The first tokens of each owner, PAD after the last.  # [M], [M] -> [n, <= longest]"""
    order = torch.argsort(owner, stable=True)
    count = torch.bincount(owner, minlength=n)
    start = count.cumsum(0) - count
    place = torch.arange(max(1, min(longest, int(count.max()))))
    inside = place < count.unsqueeze(1)
    at = (start.unsqueeze(1) + place).clamp(max=max(0, len(order) - 1))
    return torch.where(inside, tokens[order[at]], PAD) if len(order) else torch.full((n, 1), PAD)
