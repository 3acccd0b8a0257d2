"""Labels by how often they were given: the majority class, or popularity, and the shares of both (peterrec.md, f)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, Note, RetrainMethod


class LabelFrequency(RetrainMethod[ItemScores]):
    """Score log(1 + count), so that the soft-max over a task's labels is their share with one more row for each.

    docs/methods/peterrec.md (f). Labels of other tasks are other items, so all counts can be kept side by side.
    """

    kept: ClassVar[tuple[str, ...]] = ("count",)

    def __init__(self, *, backbone: ItemScores) -> None:
        super().__init__(backbone=backbone)
        self.count = torch.zeros_like(backbone.scores, dtype=torch.int64)

    def update(self, task: Task, fit: Fit) -> None:
        given = task.period.train.item.to(fit.device)
        self.count += torch.bincount(given, minlength=len(self.count))
        self.backbone.scores.copy_(self.count.double().log1p())

    def notes(self) -> Sequence[Note]:
        """No later task changes what is answered for an earlier one."""
        return (Note("fixed_answers", 0, 1.0),)
