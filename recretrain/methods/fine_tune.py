"""Fine-tune: yesterday's weights, today's data alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from recretrain.backbones.mf import MF
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Batches
from recretrain.data.negatives import KnownPairs, NegativeSampler
from recretrain.data.schedule import Task
from recretrain.data.stream import Interactions
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.methods.objectives import LogLoss
from recretrain.methods.parts.pretraining import Pretraining


class FineTune(RetrainMethod):
    """Spec (g): log loss on the new period, warm start, one Adam for the whole run.

    Negatives are items of the rows learned from (`negatives="rows"`, released) or of all that the run has met
    (`"met"`): only the latter ever pushes down an item that nobody takes any more.
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
        negatives: str,
    ) -> None:
        if negatives not in ("rows", "met"):
            raise ValueError(f"method.negatives={negatives}: give rows (items learned from) or met (all items so far)")
        super().__init__(backbone=backbone)
        self.mf = backbone
        self.pretraining = pretraining
        self.reg = reg
        self.batch_size = batch_size
        self.epochs = epochs
        self.from_met = negatives == "met"
        self.met = torch.zeros(len(backbone.item), dtype=torch.bool)
        self.optimizer = DenseAdam(list(backbone.parameters()), learning_rate=learning_rate)

    def update(self, task: Task, fit: Fit) -> None:
        self.met[task.period.train.item] = True
        if not task.past:
            self.pretraining(self.mf, task.period.train, fit)
        else:
            self.learn(self.rows(task), fit)

    def rows(self, task: Task) -> Interactions:
        """What today's fit learns from."""
        return task.period.train

    def learn(self, rows: Interactions, fit: Fit) -> None:
        rows = rows.to(fit.device)
        pool = torch.nonzero(self.met).squeeze(1).to(fit.device) if self.from_met else torch.unique(rows.item)
        sampler = NegativeSampler(pool, KnownPairs(rows.user, rows.item, len(self.mf.item)))
        batches = Batches(rows, sampler, batch_size=self.batch_size, generator=fit.generator)
        fit(LogLoss(self.mf, self.optimizer, reg=self.reg), batches, epochs=self.epochs)

    def extra_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "met": self.met}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.met = state["met"].cpu()
