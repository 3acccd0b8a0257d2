"""MeLU learns where to begin with a user nobody knows: a few ratings move the decision layers, nothing else.

Lee et al., KDD 2019; docs/methods/melu.md. Theta1 (tables) and Theta2 (decision layers) are meta-parameters; local
updates are never kept.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.content import ContentNet
from recretrain.backbones.optimizers import DenseAdam
from recretrain.data.batches import Columns
from recretrain.data.kinds import Questions, Support, SupportedRatings, joined
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Learner, Lesson
from recretrain.methods.objective import Objective
from recretrain.methods.parts.adaptation import LocalUpdates
from recretrain.methods.retrain import Retrain
from recretrain.methods.state import Made
from recretrain.values import AtLeast1, Positive

Episode = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]  # user [B], support items and ratings [B, S], queries' [B, n]


class EpisodeLearner(Learner[ContentNet]):
    """Adam, outer: the error of the queries after local updates on the supports (melu.md, d)."""

    trains = ContentNet
    learns_from = SupportedRatings

    def __init__(self, *, learning_rate: Positive, batch_size: AtLeast1, drop_last: bool, epochs: AtLeast1) -> None:
        """`batch_size`: users; `drop_last`: a last batch that is not full is left out."""
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.epochs = epochs
        self.adam = Made(lambda weights: DenseAdam(weights, learning_rate=learning_rate))

    def fit(self, backbone: ContentNet, lesson: Lesson, fit: Fit) -> None:
        """Without local updates: the network as it is."""
        self.fit_under(None, backbone, lesson, fit)

    def fit_under(self, local: LocalUpdates | None, backbone: ContentNet, lesson: Lesson, fit: Fit) -> None:
        """Fit to the lesson's episodes, each answered after `local` updates."""
        episodes = joined(lesson.period.index, lesson.questions())
        assert isinstance(episodes, SupportedRatings)
        met = episodes.rows().to(fit.device)
        backbone.meet(met.user, met.item)
        columns = [column.to(fit.device) for column in columns_of(episodes)]
        batches = Columns(columns, batch_size=self.batch_size, generator=fit.generator, drop_last=self.drop_last)
        fit(MetaLoss(backbone, local, self.adam.over(backbone)), batches, epochs=self.epochs)

    def renew(self) -> None:
        self.adam.renew()


class MeLU(Retrain[ContentNet]):
    """Learn the period's own users as episodes; answer after as many local steps as in training.

    docs/methods/melu.md.
    """

    answers = SupportedRatings
    threads = 1
    learner: EpisodeLearner

    def __init__(
        self,
        *,
        backbone: ContentNet,
        learner: EpisodeLearner,
        local: LocalUpdates,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
    ) -> None:
        super().__init__(backbone=backbone, learner=learner, pretraining=None, reads=reads, start=start)
        self.local = local

    def learn(self, lesson: Lesson, fit: Fit) -> None:
        self.learner.fit_under(self.local, self.backbone, lesson, fit)

    def score(self, questions: Questions) -> Tensor:
        assert questions.candidates is not None
        assert questions.support is not None
        with torch.no_grad():
            return self.local.answer(self.backbone, questions.user, questions.support, questions.candidates)


class MetaLoss(Objective[Episode]):
    """Mean over users of the squared error on their queries, after local updates on their support."""

    divides = True

    def __init__(self, backbone: ContentNet, local: LocalUpdates | None, optimizer: Optimizer | None) -> None:
        super().__init__(optimizer)
        self.backbone = backbone
        self._local = local

    def loss(self, batch: Episode) -> Tensor:
        user, item, rating, asked, rated = batch
        if self._local is None:
            return F.mse_loss(self.backbone.predict(user, asked), rated)
        return F.mse_loss(self._local.predict(self.backbone, user, Support(item, rating), asked), rated)


def columns_of(episodes: SupportedRatings) -> list[Tensor]:
    """The columns of an `Episode`, for all users."""
    return [episodes.user, episodes.support.item, episodes.support.rating, episodes.items, episodes.labels]
