"""SPMF keeps a small reservoir of the past and trains hardest on what it still ranks badly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recretrain.backbones.mf import MF, dot
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Batches
from recretrain.data.negatives import KnownPairs, NegativeSampler
from recretrain.data.schedule import Task
from recretrain.data.stream import Interactions, concatenate
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.methods.objectives import LogLoss
from recretrain.methods.parts.pretraining import Pretraining
from recretrain.methods.parts.reservoir import Reservoir


class SPMF(RetrainMethod):
    """Wang et al., SIGIR 2018, as SML's authors ran it (spec g): reservoir + new rows, drawn by rank of their score.

    Negatives come from all items met so far. They are rejected against the rows at hand; the released code rejects
    against every pair of the run, which a method that keeps only a reservoir could not know.
    """

    def __init__(
        self,
        *,
        backbone: MF,
        pretraining: Pretraining,
        learning_rate: float,
        reg: float,
        batch_size: int,
        epochs: int,
        pool_size: int,
        pool_start: str,
    ) -> None:
        super().__init__(backbone=backbone)
        if pool_start not in ("reservoir", "latest"):
            raise ValueError(f"method.pool_start={pool_start}: give reservoir or latest")
        self.mf = backbone
        self.pretraining = pretraining
        self.reg = reg
        self.batch_size = batch_size
        self.epochs = epochs
        self.pool = Reservoir(pool_size)
        self.start_with_latest = pool_start == "latest"
        self.optimizer = DenseAdam(list(backbone.parameters()), learning_rate=learning_rate)
        self.met = torch.zeros(len(backbone.item), dtype=torch.bool)

    def update(self, task: Task, fit: Fit) -> None:
        today = Interactions(task.period.train.user, task.period.train.item)
        self.met[today.item] = True
        if not task.past:
            self.pretraining(self.mf, today, fit)
            self.pool.start(today, fit.generator, latest=self.start_with_latest)
            return
        rows = concatenate([self.pool.rows, today]).to(fit.device)
        fit(LogLoss(self.mf, self.optimizer, reg=self.reg), self._batches(rows, fit), epochs=self.epochs)
        self.pool.add(today, fit.generator)

    def _batches(self, rows: Interactions, fit: Fit) -> Batches:
        weight = rank_weights(dot(self.mf.user[rows.user], self.mf.item[rows.item]).detach())
        length = max(1, round(len(rows) / self.batch_size)) * self.batch_size
        met = torch.nonzero(self.met).squeeze(1).to(fit.device)
        return Batches(
            rows,
            NegativeSampler(met, KnownPairs(rows.user, rows.item, len(self.mf.item))),
            batch_size=self.batch_size,
            generator=fit.generator,
            order=lambda generator: torch.multinomial(weight, length, replacement=True, generator=generator),
            length=length,
        )

    def extra_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "pool": self.pool.state(), "met": self.met}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.pool.load(state["pool"])
        self.met = state["met"].cpu()


def rank_weights(scores: Tensor) -> Tensor:
    """exp(k / n) for the k-th best of n scores: the worst row is drawn e times as often as the best.  # [N] -> [N]"""
    k = torch.empty_like(scores)
    k[torch.argsort(scores, descending=True, stable=True)] = torch.arange(
        1, len(scores) + 1, dtype=scores.dtype, device=scores.device
    )
    return torch.exp(k / len(scores))
