"""Recent: what a user had, the newest first, and behind it what most had; the floor of data in which pairs repeat."""

from __future__ import annotations

import torch
from torch import Tensor

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.kinds import Questions
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, RetrainMethod


class Recent(RetrainMethod[ItemScores]):
    """Score an item by when its user had it last, all others below by how often they were taken.

    docs/methods/baselines.md.
    """

    kept = ("user", "item", "when", "rows")

    def __init__(self, *, backbone: ItemScores) -> None:
        super().__init__(backbone=backbone)
        nothing = torch.zeros(0, dtype=torch.int64)
        self.user, self.item, self.when = nothing, nothing, nothing  # [P] of each pair once, by user and then by item
        self.rows = 0  # learned so far

    def update(self, task: Task, fit: Fit) -> None:
        new = task.period.train.to(fit.device)
        user, item = torch.cat([self.user.to(fit.device), new.user]), torch.cat([self.item.to(fit.device), new.item])
        place = torch.arange(self.rows, self.rows + len(new), device=fit.device)
        when = torch.cat([self.when.to(fit.device), place])
        pair, of = torch.unique(self._pairs(user, item), return_inverse=True)
        self.when = when.new_zeros(len(pair)).scatter_reduce_(0, of, when, "amax", include_self=False)
        self.user, self.item = pair // self._n_items, pair % self._n_items
        self.rows += len(new)
        self.backbone.scores.add_(torch.bincount(new.item, minlength=self._n_items))

    def score(self, questions: Questions) -> Tensor:
        scores = self.backbone.scores / (self.backbone.scores.max() + 1)  # below 1; whoever had it is above
        offered = questions.offered
        user = questions.user.unsqueeze(1)
        pairs = self._pairs(self.user, self.item)
        wanted = self._pairs(user, offered.long())
        if not len(pairs):
            return scores[offered].expand(wanted.shape)
        place = torch.searchsorted(pairs, wanted).clamp(max=len(pairs) - 1)
        newest = 1 + self.when[place] / self.rows
        return torch.where(pairs[place] == wanted, newest, scores[offered])

    def trained_parameters(self) -> int:
        return len(self.when)

    @property
    def _n_items(self) -> int:
        return len(self.backbone.scores)

    def _pairs(self, user: Tensor, item: Tensor) -> Tensor:
        """A number for each pair, ascending by user and then by item."""
        return user * self._n_items + item
