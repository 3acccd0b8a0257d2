"""Metrics are pure functions of ranks: one rank per question serves every metric and every cut-off.

A rank is 0-based and fractional where scores tie: the number of candidates that beat the label, plus half of those that
equal it, so that a collapsed model scores chance. One relevant item per question: recall@k and hit rate@k coincide.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Metric = Callable[[Tensor, int], Tensor]  # (ranks [Q] float, k) -> values [Q]


def recall(rank: Tensor, k: int) -> Tensor:
    """1 where the label is among the first k (spec f)."""
    return (rank < k).double()


def ndcg(rank: Tensor, k: int) -> Tensor:
    """1 / log2(rank + 2) within the first k; the ideal DCG of one relevant item is 1 (spec f)."""
    return (rank < k) / torch.log2(rank.double() + 2)


def mrr(rank: Tensor, k: int) -> Tensor:
    """1 / (rank + 1) within the first k."""
    return (rank < k) / (rank.double() + 1)


METRICS: dict[str, Metric] = {"recall": recall, "hit": recall, "ndcg": ndcg, "mrr": mrr}


def metric(name: str) -> Metric:
    if name not in METRICS:
        raise ValueError(f"eval.metrics: there is no {name!r}; choose from {', '.join(METRICS)}")
    return METRICS[name]
