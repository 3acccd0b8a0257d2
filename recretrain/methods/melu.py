"""MeLU learns where to begin with a user nobody knows: a few ratings move the decision layers, nothing else.

Lee et al., KDD 2019. Theta1 (tables) and Theta2 (decision layers) are meta-parameters; local updates are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.content import ContentNet, Layers, decide
from recretrain.backbones.lengths import by_length, put_together
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Columns
from recretrain.data.questions import queries_of, supports_of
from recretrain.data.schedule import Task
from recretrain.data.stream import Questions, TestSet, concatenate
from recretrain.errors import DataError
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.methods.parts.adaptation import adapted, answered_by_all, per_user

_GROUPS = (16, 48)  # users with supports up to these lengths are computed together

Episode = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # user [B], support items and ratings [B, S], queries' [B, n]


class MeLU(RetrainMethod):
    """Spec (d). Trains on the period's own users as episodes; answers after as many local steps as it trained with."""

    def __init__(
        self,
        *,
        backbone: ContentNet,
        local_steps: int,
        local_learning_rate: float,
        adapts: str,
        order: str,
        learning_rate: float,
        batch_size: int,
        drop_last: bool,
        epochs: int,
        start: str,
        answer_steps: int | None,
    ) -> None:
        if adapts not in ("decisions", "all"):
            raise ValueError(f"method.adapts={adapts}: give decisions (the layers behind the tables) or all")
        if order not in ("first", "second"):
            raise ValueError(f"method.order={order}: give first (as released) or second")
        if start not in ("warm", "scratch", "frozen"):
            raise ValueError(f"method.start={start}: give warm, scratch or frozen")
        if local_steps < 0:
            raise ValueError(f"method.local_steps={local_steps} must be 0 or more")
        super().__init__(backbone=backbone)
        self.net = backbone
        self.local_steps = local_steps
        self.local_learning_rate = local_learning_rate
        self.adapts_all = adapts == "all"
        self.second_order = order == "second"
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.epochs = epochs
        self.start = start
        self.answer_steps = local_steps if answer_steps is None else answer_steps
        self.optimizer = self._adam()

    def update(self, task: Task, fit: Fit) -> None:
        if task.past and self.start == "frozen":
            return
        if task.past and self.start == "scratch":
            self.net.draw(fit.generator)
            self.optimizer = self._adam()
        episodes = task.period.own["arrivals"]
        met = concatenate([supports_of(episodes), queries_of(episodes)]).to(fit.device)
        self.net.meet(met.user, met.item)
        columns = [column.to(fit.device) for column in columns_of(episodes)]
        batches = Columns(columns, batch_size=self.batch_size, generator=fit.generator, drop_last=self.drop_last)
        fit(MetaLoss(self), batches, epochs=self.epochs)

    def score(self, questions: Questions) -> Tensor:
        if questions.candidates is None or "support_item" not in questions.context:
            raise DataError("MeLU answers episodes; set eval=episodes")
        context = questions.context
        with torch.no_grad():
            return self.answer(
                questions.user,
                context["support_item"],
                context["support_rating"],
                questions.candidates,
                first=True,
                steps=self.answer_steps,
            )

    def answer(self, user: Tensor, item: Tensor, rating: Tensor, asked: Tensor, *, first: bool, steps: int) -> Tensor:
        """Ratings of `asked` after local steps on the support.  # [B], [B, S], [B, S], [B, n] -> [B, n]"""
        if steps and self.adapts_all:
            rate = self.local_learning_rate
            return answered_by_all(self.net, user, item, rating, asked, steps=steps, learning_rate=rate, first=first)
        inputs = self.net.inputs(user, asked)
        layers = self.net.decision_layers()
        if not steps:
            return decide(inputs, layers)
        length = (item >= 0).sum(1)
        order, parts = [], []
        for rows, _ in by_length(length, _GROUPS, item.shape[1]):
            longest = max(1, int(length[rows].max()))
            local = self._adapted(user[rows], item[rows, :longest], rating[rows, :longest], layers, first, steps)
            order.append(rows)
            parts.append(decide(inputs.rows(rows), local))
        return put_together(parts, order)

    def _adapted(self, user: Tensor, item: Tensor, rating: Tensor, layers: Layers, first: bool, steps: int) -> Layers:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not first):
            inputs = self.net.inputs(user, item.clamp(min=0))
            local = adapted(
                inputs, rating, (item >= 0).float(), layers, steps=steps, learning_rate=self.local_learning_rate
            )
        return per_user(layers, local) if first else local

    def _adam(self) -> DenseAdam:
        return DenseAdam(list(self.net.parameters()), learning_rate=self.learning_rate)

    def extra_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


class MetaLoss(LightningModule):
    """Mean over users of the squared error on their queries, after local steps on their support."""

    def __init__(self, method: MeLU) -> None:
        super().__init__()
        self.net = method.net
        self._method = method

    def training_step(self, batch: Episode, batch_index: int) -> Tensor:
        user, item, rating, asked, rated = batch
        method = self._method
        predicted = method.answer(user, item, rating, asked, first=not method.second_order, steps=method.local_steps)
        return F.mse_loss(predicted, rated)

    def configure_optimizers(self) -> Optimizer:
        return self._method.optimizer


def columns_of(episodes: TestSet) -> list[Tensor]:
    """The columns of an `Episode`, for all users."""
    assert episodes.candidates is not None
    support = episodes.context["support_item"], episodes.context["support_rating"]
    return [episodes.user, *support, episodes.candidates, episodes.labels]
