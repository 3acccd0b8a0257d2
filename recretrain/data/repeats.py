"""Which questions are about an item that their user has had already: a method that knows no more answers them well."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from recretrain.data.by_user import items_before, rows_by_user
from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.stream import PARTS, Stream
from recretrain.once import made
from recretrain.sealed import reading


def had_before(stream: Stream, period: int, part: str | None) -> Interactions:
    """The rows of the period's space before `part` of it: of earlier periods, and of the earlier parts of its own."""
    before = stream.before(period, stream.space(period))
    if part is None or not stream.has_parts(period):
        return before
    own = [stream.interactions(period, earlier) for earlier in PARTS[: PARTS.index(part)]]
    return concatenate([before, *own])


def again(stream: Stream, period: int, part: str | None) -> Tensor | None:
    """Whether each row of a part is of a pair that came before it; None where the data hold no pair twice.

    Within a part rows are all new or all again, as nothing is learned between them.  # [N] bool
    """
    if stream.card.get("options", {}).get("repeats", "keep") != "keep":
        return None
    if part is not None and stream.has_parts(period):
        return _are_among(stream.interactions(period, part), had_before(stream, period, part), stream.n_items)
    file = stream.folder / "again" / f"period_{period:03d}.npy"

    def find(out: BinaryIO) -> None:
        np.save(out, _found(stream, period, part).numpy())

    with reading(made(file, find)):  # kept: it is asked for whenever a method looks at a period's questions
        return torch.from_numpy(np.load(file))


def _found(stream: Stream, period: int, part: str | None) -> Tensor:
    """Whether each row of a period is of a pair in the rows before it.  # [N] bool"""
    asked = stream.interactions(period, part)
    by_user = rows_by_user(stream)
    if by_user is None:
        return _are_among(asked, had_before(stream, period, part), stream.n_items)
    had = items_before(by_user, asked.user, period)
    row = had.row_of_value()
    found = torch.zeros(len(asked), dtype=torch.bool)
    found[row[had.values == asked.item[row]]] = True
    return found


def _are_among(rows: Interactions, earlier: Interactions, n_items: int) -> Tensor:
    """Whether each pair of user and item is one of the earlier ones.  # [N] bool"""
    return torch.isin(rows.user * n_items + rows.item, earlier.user * n_items + earlier.item)
