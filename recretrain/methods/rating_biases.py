"""Shrunk biases: the baseline that every model of ratings should beat, and that MeLU's paper lacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recretrain.backbones.biases import Biases
from recretrain.data.questions import supports_of
from recretrain.data.schedule import Task
from recretrain.data.stream import Questions
from recretrain.methods.base import Fit, RetrainMethod


class RatingBiases(RetrainMethod):
    """mu + b_item + b_user, each sum of deviations divided by its number + the shrinkage (spec e).

    Items from the supports of all periods so far; users from the support that comes with the question
    (`user_shrinkage=null`: the item's part alone).
    """

    def __init__(self, *, backbone: Biases, item_shrinkage: float, user_shrinkage: float | None) -> None:
        super().__init__(backbone=backbone)
        self.biases = backbone
        self.item_shrinkage = item_shrinkage
        self.user_shrinkage = user_shrinkage
        self.count = torch.zeros_like(backbone.item)
        self.total = torch.zeros_like(backbone.item)

    def update(self, task: Task, fit: Fit) -> None:
        rows = supports_of(task.period.own["arrivals"]).to(fit.device)
        rating = rows.other["rating"].double()
        self.count.index_add_(0, rows.item, torch.ones_like(rating))
        self.total.index_add_(0, rows.item, rating)
        self.biases.mean.copy_(self.total.sum() / self.count.sum())
        self.biases.item.copy_(
            (self.total - self.count * self.biases.mean) / (self.count + self.item_shrinkage).clamp(min=1e-12)
        )

    def score(self, questions: Questions) -> Tensor:
        rating = self.biases.score(questions)
        if self.user_shrinkage is None:
            return rating
        items = questions.context["support_item"]
        there = (items >= 0).double()
        expected = self.biases.predict(questions.user, items.clamp(min=0))
        above = ((questions.context["support_rating"] - expected) * there).sum(1)
        return rating + (above / (there.sum(1) + self.user_shrinkage)).unsqueeze(1)

    def extra_state(self) -> dict[str, Any]:
        return {"count": self.count, "total": self.total}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.count, self.total = state["count"].to(self.biases.device), state["total"].to(self.biases.device)
