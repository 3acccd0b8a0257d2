"""Rating regression: a network fits all ratings of the period, one by one; nobody is adapted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.content import RatingBackbone
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Columns
from recretrain.data.questions import queries_of, supports_of
from recretrain.data.schedule import Task
from recretrain.data.stream import concatenate
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
        episodes = task.period.own["arrivals"]
        rows = concatenate([supports_of(episodes), queries_of(episodes)]).to(fit.device)
        self.net.meet(rows.user, rows.item)
        columns = [rows.user, rows.item, rows.other["rating"]]
        batches = Columns(columns, batch_size=self.batch_size, generator=fit.generator)
        fit(SquaredError(self.net, self.optimizer), batches, epochs=self.epochs)

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
