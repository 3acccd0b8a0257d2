"""The best items of each user, some users at a time: all users and all items are never held together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from recretrain.data.interactions import Ragged
from recretrain.data.kinds import Rankings
from recretrain.evaluation.rankings import fail_on_nan
from recretrain.serving.asking import Tomorrow, tomorrow
from recretrain.serving.opened import PAIRS, Opened
from recretrain.serving.wishes import Wish

_USERS = 512  # asked together at most
_SCORES = 2**24  # of a chunk, at most (64 MB)


class Best(NamedTuple):
    """The best of each row, row by row and the best first; a row may have fewer than k."""

    row: Tensor  # [N]
    column: Tensor  # [N]
    rank: Tensor  # [N], from 1
    score: Tensor  # [N]


def recommended(run: Opened, wish: Wish) -> Iterator[pd.DataFrame]:
    """The best items of some users after another: user, rank, item, score.

    The users come in the order of the wish. Of items with one score that is first which appeared first in the data.
    A user who had everything has no rows. Raises Mistake on a NaN score.
    """
    asked = tomorrow(run, wish)
    size = chunk_of(asked)
    for start in range(0, len(asked.test), size):
        yield _chunk(run, asked, slice(start, min(start + size, len(asked.test))), wish.k)


def chunk_of(asked: Tomorrow) -> int:
    """How many users are asked together."""
    scores = _SCORES if isinstance(asked.test, Rankings) else PAIRS
    return max(1, min(_USERS, scores // max(1, len(asked.items))))


def best(scores: Tensor, k: int, barred: Tensor | None = None) -> Best:
    """The k best columns of each row that are not barred; of equal ones the first.  # [B, I], [B, I] bool"""
    if barred is not None:
        scores = scores.masked_fill(barred, -torch.inf)
    least = torch.topk(scores, min(k, scores.shape[1]), dim=1).values[:, -1:]
    chosen = scores >= least  # with all that tie with the last
    if barred is not None:
        chosen &= ~barred
    row, column = torch.nonzero(chosen, as_tuple=True)  # by row, then by column
    found = scores[row, column]
    order = torch.argsort(found, descending=True, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    row, column, found = row[order], column[order], found[order]
    count = torch.bincount(row, minlength=len(scores))
    rank = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row] + 1
    kept = rank <= k
    return Best(row[kept], column[kept], rank[kept], found[kept])


def barred(left_out: Ragged, items: Tensor) -> Tensor:
    """Which of the items, [I] ascending, are left out of each row.  # [B, I] bool"""
    column = torch.searchsorted(items, left_out.values).clamp(max=len(items) - 1)
    offered = items[column] == left_out.values
    mask = torch.zeros(len(left_out), len(items), dtype=torch.bool)
    mask[left_out.row_of_value()[offered], column[offered]] = True
    return mask


def _chunk(run: Opened, asked: Tomorrow, rows: slice, k: int) -> pd.DataFrame:
    scores = run.scores(asked.test, rows, asked.items)
    if bool(torch.isnan(scores).any()):
        fail_on_nan(asked.test.period)
    had = None if asked.left_out is None else asked.left_out.rows(rows.start, rows.stop)
    left_out = None if had is None else barred(had, asked.items).to(scores.device)
    found = Best(*(part.cpu() for part in best(scores, k, left_out)))
    return pd.DataFrame(
        {
            "user": asked.names.iloc[(rows.start + found.row).numpy()].reset_index(drop=True),
            "rank": found.rank.numpy(),
            "item": run.items.raw(asked.items[found.column]),
            "score": found.score.numpy(),
        }
    )
