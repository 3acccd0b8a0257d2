"""Popularity: items by how often they were taken, old periods counting less."""

from __future__ import annotations

import torch

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.values import Share


class Popularity(RetrainMethod[ItemScores]):
    """Multiply counts by `decay` before adding each period's own: 1 = all-time counts, 0 = today's only.

    docs/methods/baselines.md.
    """

    def __init__(self, *, backbone: ItemScores, decay: Share) -> None:
        super().__init__(backbone=backbone)
        self.decay = decay

    def update(self, task: Task, fit: Fit) -> None:
        scores = self.backbone.scores
        taken = torch.bincount(task.period.train.item.to(fit.device), minlength=len(scores))
        scores.mul_(self.decay).add_(taken)
