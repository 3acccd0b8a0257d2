"""Popularity: items by how often they were taken, old periods counting less."""

from __future__ import annotations

import torch

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, RetrainMethod


class Popularity(RetrainMethod):
    """Counts are multiplied by `decay` before each period's own are added: 1 = all-time counts, 0 = today's only."""

    def __init__(self, *, backbone: ItemScores, decay: float) -> None:
        if not 0 <= decay <= 1:
            raise ValueError(f"method.decay={decay} must lie between 0 (today only) and 1 (all time)")
        super().__init__(backbone=backbone)
        self.counts = backbone
        self.decay = decay

    def update(self, task: Task, fit: Fit) -> None:
        taken = torch.bincount(task.period.train.item.to(fit.device), minlength=len(self.counts.scores))
        self.counts.scores.mul_(self.decay).add_(taken)
