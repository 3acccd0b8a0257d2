"""Metrics are pure functions of ranks: one rank per question serves every metric and every cut-off.

A rank is 0-based: the number of candidates that beat the label. Where some equal it the label may be at any of their
places, each as likely as another, and a metric is its mean over them (`expected`), so that a model whose scores are all
equal measures what guessing does. One relevant item per question: recall@k and hit rate@k coincide.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recretrain.errors import ConfigError

Metric = Callable[[Tensor, int], Tensor]  # (ranks [Q] float, k) -> values [Q]


def recall(rank: Tensor, k: int) -> Tensor:
    """1 where the label is among the first k (sml.md, f)."""
    return (rank < k).double()


def ndcg(rank: Tensor, k: int) -> Tensor:
    """1 / log2(rank + 2) within the first k; the ideal DCG of one relevant item is 1 (sml.md, f)."""
    return (rank < k) / torch.log2(rank.double() + 2)


def mrr(rank: Tensor, k: int) -> Tensor:
    """1 / (rank + 1) within the first k."""
    return (rank < k) / (rank.double() + 1)


METRICS: dict[str, Metric] = {"recall": recall, "hit": recall, "ndcg": ndcg, "mrr": mrr}


def expected(measure: Metric, half_rank: Tensor, ties: Tensor, k: int) -> Tensor:
    """A metric of each question, its mean over the places that the label may have among `ties` others.

    `half_rank`: 2 x (candidates that beat the label) + ties.  # [Q], [Q] -> [Q] float64
    """
    values = measure(half_rank.double() / 2, k).double()
    tied = torch.nonzero(ties > 0).squeeze(1)
    if len(tied):
        count = ties[tied].long() + 1
        first = (half_rank[tied].long() - count + 1) // 2
        every = measure(torch.arange(int((first + count).max())).double(), k).double()
        before = torch.cat([every.new_zeros(1), every.cumsum(0)])  # what all places before one sum up to
        values[tied] = (before[first + count] - before[first]) / count
    return values


def metric(given: str | Metric) -> Metric:
    """The metric of that name, or one's own."""
    if not isinstance(given, str):
        return given
    if given not in METRICS:
        raise ConfigError(
            f"eval.metrics: there is no {given!r}; choose from {', '.join(METRICS)}, or give a function by _target_"
        )
    return METRICS[given]


def name_of(given: str | Callable[..., Tensor]) -> str:
    """The name of its column in tables: of one's own metric, that of the function."""
    if isinstance(given, str):
        return given
    return str(getattr(getattr(given, "func", given), "__name__", type(given).__name__))
