"""Shrunk biases: the baseline that every model of ratings should beat, and that MeLU's paper lacks (melu.md, e)."""

from __future__ import annotations

import torch
from torch import Tensor

from recretrain.backbones.biases import Biases
from recretrain.data.kinds import Questions, Ratings
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.values import NotNegative


class RatingBiases(RetrainMethod[Biases]):
    """mu + b_item + b_user, each sum of deviations divided by its number + the shrinkage: docs/methods/melu.md (e).

    Items from the ratings that are given in all periods so far; users from those given with the question, where there
    are any (`user_shrinkage=null`: the item's bias alone).
    """

    learns_from = Ratings
    kept = ("count", "total")

    def __init__(self, *, backbone: Biases, item_shrinkage: NotNegative, user_shrinkage: NotNegative | None) -> None:
        super().__init__(backbone=backbone)
        self.item_shrinkage = item_shrinkage
        self.user_shrinkage = user_shrinkage
        self.count = torch.zeros_like(backbone.item)
        self.total = torch.zeros_like(backbone.item)

    def update(self, task: Task, fit: Fit) -> None:
        asked = task.period.questions
        assert isinstance(asked, Ratings)
        rows = asked.given().to(fit.device)
        rating = rows.other["rating"].double()
        self.count.index_add_(0, rows.item, torch.ones_like(rating))
        self.total.index_add_(0, rows.item, rating)
        biases = self.backbone
        biases.mean.copy_(self.total.sum() / self.count.sum())
        biases.item.copy_((self.total - self.count * biases.mean) / (self.count + self.item_shrinkage).clamp(min=1e-12))

    def score(self, questions: Questions) -> Tensor:
        rating = self.backbone.score(questions)
        given = questions.support
        if self.user_shrinkage is None or given is None:
            return rating
        known = (given.item >= 0).double()
        expected = self.backbone.predict(questions.user, given.item.clamp(min=0))
        above = ((given.rating - expected) * known).sum(1)
        return rating + (above / (known.sum(1) + self.user_shrinkage)).unsqueeze(1)
