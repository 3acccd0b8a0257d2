"""Rating regression: a network fits all ratings of the period, one by one; nobody is adapted to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.content import RatingBackbone
from recretrain.backbones.tables import DenseAdam
from recretrain.data.schedule import Task
from recretrain.data.stream import TestSet
from recretrain.methods.base import Fit, RetrainMethod


class RatingRegression(RetrainMethod):
    """Mean squared error on supports and queries of the period's users alike (spec e: PPR, Wide & Deep)."""

    def __init__(
        self, *, backbone: RatingBackbone, learning_rate: float, weight_decay: float, batch_size: int, epochs: int
    ) -> None:
        super().__init__(backbone=backbone)
        self.net = backbone
        self.batch_size = batch_size
        self.epochs = epochs
        self.optimizer = DenseAdam(list(backbone.parameters()), learning_rate=learning_rate, weight_decay=weight_decay)

    def update(self, task: Task, fit: Fit) -> None:
        (episodes,) = task.period.own.values()
        ratings = Ratings(episodes, self.batch_size, fit)
        self.net.meet(ratings.user, ratings.item)
        fit(SquaredError(self.net, self.optimizer), ratings, epochs=self.epochs)

    def extra_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


class SquaredError(LightningModule):
    def __init__(self, backbone: RatingBackbone, optimizer: Optimizer) -> None:
        super().__init__()
        self.backbone = backbone
        self._optimizer = optimizer

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_index: int) -> Tensor:
        user, item, rating = batch
        return F.mse_loss(self.backbone.predict(user, item.unsqueeze(1)).squeeze(1), rating)

    def configure_optimizers(self) -> Optimizer:
        return self._optimizer


class Ratings:
    """An epoch of single ratings in a fresh order."""

    def __init__(self, episodes: TestSet, batch_size: int, fit: Fit) -> None:
        assert episodes.candidates is not None
        support = episodes.context["support_item"]
        there = support >= 0
        users = [
            episodes.user.repeat_interleave(there.sum(1)),
            episodes.user.repeat_interleave(episodes.labels.shape[1]),
        ]
        self.user = torch.cat(users).to(fit.device)
        self.item = torch.cat([support[there], episodes.candidates.flatten()]).to(fit.device)
        self.rating = torch.cat([episodes.context["support_rating"][there], episodes.labels.flatten()]).to(fit.device)
        self._size = batch_size
        self._generator = fit.generator

    def __len__(self) -> int:
        return -(-len(self.user) // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        order = torch.randperm(len(self.user), generator=self._generator, device=self._generator.device)
        for part in torch.split(order, self._size):
            yield self.user[part], self.item[part], self.rating[part]
