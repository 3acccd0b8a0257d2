"""Texts are read row by row; a document is all that a user wrote, or that was written about an item, as tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recretrain.data.interactions import PAD, Interactions, Ragged, concatenate
from recretrain.errors import DataError
from recretrain.sealed import reading


class Texts(NamedTuple):
    """Rows with the words of each one's text."""

    rows: Interactions
    tokens: Ragged  # numbers of words, one row of them for each of `rows`


def read_tokens(folder: Path, period: int) -> Ragged:
    """The tokens of a period's texts, row by row with the period's file."""
    file = folder / f"tokens_{period:03d}.npz"
    if not file.is_file():
        raise DataError(f"{folder.name} has no texts ({file.name}); use data with reviews")
    with reading(file), np.load(file) as stored:
        return Ragged(torch.from_numpy(stored["offsets"]).long(), torch.from_numpy(stored["values"]).long())


def first_tokens(tokens: Ragged, owner: Tensor, n: int, longest: int) -> Tensor:
    """The first `longest` tokens of each of `n` owners, text after text, PAD after the last.  # [N] -> [n, <= longest]

    `owner`: of each text, [N]; texts are in order of time.
    """
    of_token = torch.repeat_interleave(owner, torch.diff(tokens.offsets))
    order = torch.argsort(of_token, stable=True)
    count = torch.bincount(of_token, minlength=n)
    start = count.cumsum(0) - count
    place = torch.arange(max(1, min(longest, int(count.max()))), device=owner.device)
    inside = place < count.unsqueeze(1)
    at = (start.unsqueeze(1) + place).clamp(max=max(0, len(order) - 1))
    return torch.where(inside, tokens.values[order[at]], PAD) if len(order) else torch.full_like(at, PAD)


def joined_texts(parts: Sequence[Texts]) -> Texts:
    """The texts of all parts, in order; columns that not every part has are left out."""
    lengths = torch.cat([torch.diff(part.tokens.offsets) for part in parts])
    offsets = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    values = torch.cat([part.tokens.values for part in parts])
    return Texts(concatenate([part.rows for part in parts]), Ragged(offsets, values))
