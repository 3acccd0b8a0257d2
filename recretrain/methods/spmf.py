"""SPMF keeps a small reservoir of the past and trains hardest on what it still ranks badly (sml.md, g)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.mf import MF, dot
from recretrain.data.interactions import Interactions, concatenate
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson
from recretrain.methods.learners.log_loss import LogLossLearner
from recretrain.methods.parts.reservoir import Reservoir
from recretrain.methods.retrain import Retrain
from recretrain.values import AtLeast1


class SPMF(Retrain[MF]):
    """Wang et al., SIGIR 2018, as SML's authors ran it: reservoir + new rows, drawn by the rank of their score.
    docs/methods/sml.md (g).

    Negatives come from all items met so far. They are rejected against the rows at hand; the released code rejects
    against every pair of the run, which a method that keeps only a reservoir could not know.
    """

    learner: LogLossLearner

    def __init__(
        self,
        *,
        backbone: MF,
        learner: LogLossLearner,
        pretraining: LogLossLearner,
        pool_size: AtLeast1,
        pool_start: Literal["reservoir", "latest"],
    ) -> None:
        super().__init__(backbone=backbone, learner=learner, pretraining=pretraining, reads="new", start="warm")
        self.pool = Reservoir(pool_size)
        self.start_with_latest = pool_start == "latest"

    def pretrain(self, lesson: Lesson, fit: Fit) -> None:
        super().pretrain(lesson, fit)
        self.pool.start(_pairs(lesson), fit.generator, latest=self.start_with_latest)

    def learn(self, lesson: Lesson, fit: Fit) -> None:
        today, mf = _pairs(lesson), self.backbone
        rows = concatenate([self.pool.rows, today]).to(fit.device)
        weight = rank_weights(dot(mf.user[rows.user], mf.item[rows.item]).detach())
        length = max(1, round(len(rows) / self.learner.batch_size)) * self.learner.batch_size
        self.learner.meet(mf, lesson.period)
        self.learner.fit_rows(
            mf,
            rows,
            fit,
            order=lambda generator: torch.multinomial(weight, length, replacement=True, generator=generator),
            length=length,
        )
        self.pool.add(today, fit.generator)


def rank_weights(scores: Tensor) -> Tensor:
    """exp(k / n) for the k-th best of n scores: the worst row is drawn e times as often as the best.  # [N] -> [N]"""
    k = torch.empty_like(scores)
    k[torch.argsort(scores, descending=True, stable=True)] = torch.arange(
        1, len(scores) + 1, dtype=scores.dtype, device=scores.device
    )
    return torch.exp(k / len(scores))


def _pairs(lesson: Lesson) -> Interactions:
    """The new rows without their other columns, which a reservoir does not keep."""
    return Interactions(lesson.period.train.user, lesson.period.train.item)
