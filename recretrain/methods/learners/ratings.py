"""Rating regression: the squared error of all ratings, one by one; nobody is adapted to (melu.md, e)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.content import RatingBackbone
from recretrain.backbones.optimizers import DenseAdam
from recretrain.data.batches import Columns
from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.kinds import Ratings
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Learner, Lesson
from recretrain.methods.objective import Objective
from recretrain.methods.state import Made
from recretrain.values import AtLeast1, NotNegative, Positive

Rated = tuple[Tensor, Tensor, Tensor]  # user, item, rating: [B] each


class RatingLearner(Learner[RatingBackbone]):
    """Adam on the ratings of a lesson's questions, those that were given and those that were asked alike."""

    trains = RatingBackbone
    learns_from = Ratings

    def __init__(
        self, *, learning_rate: Positive, weight_decay: NotNegative, batch_size: AtLeast1, epochs: AtLeast1
    ) -> None:
        self.batch_size = batch_size
        self.epochs = epochs
        self.adam = Made(lambda weights: DenseAdam(weights, learning_rate=learning_rate, weight_decay=weight_decay))

    def fit(self, backbone: RatingBackbone, lesson: Lesson, fit: Fit) -> None:
        rows = rated_rows(lesson).to(fit.device)
        backbone.meet(rows.user, rows.item)
        columns = [rows.user, rows.item, rows.other["rating"]]
        batches = Columns(columns, batch_size=self.batch_size, generator=fit.generator)
        fit(SquaredError(backbone, self.adam.over(backbone)), batches, epochs=self.epochs)

    def renew(self) -> None:
        self.adam.renew()


def rated_rows(lesson: Lesson) -> Interactions:
    """All ratings of a lesson, one a row, with `rating`."""
    return concatenate([asked.rows() for asked in lesson.questions() if isinstance(asked, Ratings)])


class SquaredError(Objective[Rated]):
    """Mean squared error of ratings."""

    divides = True

    def __init__(self, backbone: RatingBackbone, optimizer: Optimizer | None) -> None:
        super().__init__(optimizer)
        self.backbone = backbone

    def loss(self, batch: Rated) -> Tensor:
        user, item, rating = batch
        return F.mse_loss(self.backbone.predict(user, item.unsqueeze(1)).squeeze(1), rating)
