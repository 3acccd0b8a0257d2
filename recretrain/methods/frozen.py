"""Frozen: pre-trained once and never retrained; the floor that shows what retraining is worth."""

from __future__ import annotations

from recretrain.backbones.mf import MF
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.methods.parts.pretraining import Pretraining


class Frozen(RetrainMethod):
    def __init__(self, *, backbone: MF, pretraining: Pretraining) -> None:
        super().__init__(backbone=backbone)
        self.mf = backbone
        self.pretraining = pretraining

    def update(self, task: Task, fit: Fit) -> None:
        if not task.past:
            self.pretraining(self.mf, task.period.train, fit)
