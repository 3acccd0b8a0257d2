"""Log losses of pairs: each row's item against one that its user has not taken (sml.md, c, e)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.base import over_rows
from recretrain.backbones.mf import MF, dot
from recretrain.backbones.optimizers import OptimizerName, optimizer_of
from recretrain.backbones.tables import take
from recretrain.data.batches import Batches, Order, Triples
from recretrain.data.interactions import Interactions
from recretrain.data.negatives import KnownPairs, NegativeSampler
from recretrain.data.stream import Period
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson, TeachingLearner
from recretrain.methods.objective import Objective
from recretrain.methods.state import Made
from recretrain.values import AtLeast1, NotNegative, Positive

_TINY = 1e-15  # inside the logarithms, as released


class LogLossLearner(TeachingLearner[MF]):
    """Shuffled rows, one negative a row, by the log loss of both scores by themselves or of their difference (`bpr`).

    Negatives are items of the rows learned from (`negatives="rows"`, released) or of all that the run has met
    (`"met"`): only the latter ever pushes down an item that nobody takes any more.
    """

    trains = MF
    kept = ("met",)

    def __init__(
        self,
        *,
        learning_rate: Positive,
        reg: NotNegative,
        batch_size: AtLeast1,
        epochs: AtLeast1,
        negatives: Literal["rows", "met"],
        loss: Literal["log", "bpr"],
        optimizer: OptimizerName,
    ) -> None:
        self.reg = reg
        self.loss: type[PairLoss] = LogLoss if loss == "log" else BPRLoss
        self.batch_size = batch_size
        self.epochs = epochs
        self.negatives = negatives
        self.met: Tensor | None = None  # [n_items] bool
        self.adam = Made(lambda weights: optimizer_of(optimizer, weights, learning_rate=learning_rate))

    def fit(self, backbone: MF, lesson: Lesson, fit: Fit) -> None:
        self.meet(backbone, lesson.period)
        self.fit_rows(backbone, lesson.rows(), fit)

    def fit_rows(
        self, backbone: MF, rows: Interactions, fit: Fit, *, order: Order | None = None, length: int | None = None
    ) -> None:
        """Fit to these rows; `order` and `length` as for `Batches`."""
        rows = rows.to(fit.device)
        batches = Batches(
            rows,
            self._negatives(backbone, rows),
            batch_size=self.batch_size,
            generator=fit.generator,
            order=order,
            length=length,
        )
        fit(self.loss(backbone, self.adam.over(backbone), reg=self.reg), batches, epochs=self.epochs)

    def lessons(self, backbone: MF, lesson: Lesson, fit: Fit, *, batch_size: int) -> tuple[PairLoss, Batches]:
        rows = lesson.rows().to(fit.device)
        negatives = self._negatives(backbone, rows)
        batches = Batches(rows, negatives, batch_size=batch_size, generator=fit.generator)
        return self.loss(backbone, None, reg=0.0), batches

    def renew(self) -> None:
        self.adam.renew()

    def meet(self, backbone: MF, period: Period) -> None:
        if self.negatives == "rows":
            return
        nothing = torch.zeros(len(backbone.item), dtype=torch.bool, device=backbone.device)
        self.met = nothing if self.met is None else over_rows(self.met, nothing)
        self.met[period.train.item.to(self.met.device)] = True

    def _negatives(self, backbone: MF, rows: Interactions) -> NegativeSampler:
        return NegativeSampler(self._pool(rows), KnownPairs(rows.user, rows.item, len(backbone.item)))

    def _pool(self, rows: Interactions) -> Tensor:
        """Items to draw negatives from.  # [P]"""
        if self.met is None:
            distinct: Tensor = torch.unique(rows.item)
            return distinct
        return torch.nonzero(self.met).squeeze(1).to(rows.item.device)


class PairLoss(Objective[Triples]):
    """A loss of a pair's MF scores, plus reg x summed squares of the batch's rows (sml.md, e, g)."""

    divides = True
    replays = True

    def __init__(self, backbone: MF, optimizer: Optimizer | None, *, reg: float) -> None:
        super().__init__(optimizer)
        self.backbone = backbone
        self._reg = reg

    @abstractmethod
    def of_scores(self, positive: Tensor, negative: Tensor) -> Tensor:
        """Give the loss without the squares.  # x_ui [B], x_uj [B] -> []"""

    def loss(self, batch: Triples) -> Tensor:
        user, positive, negative = batch
        u = take(self.backbone.user, user)
        i, j = take(self.backbone.item, positive), take(self.backbone.item, negative)
        loss = self.of_scores(dot(u, i), dot(u, j))
        return loss + self._reg / self.share * summed_squares(u, i, j) if self._reg else loss


class LogLoss(PairLoss):
    """L0: both scores by themselves."""

    def of_scores(self, positive: Tensor, negative: Tensor) -> Tensor:
        return log_loss(positive, negative)


class BPRLoss(PairLoss):
    """-mean log sig(x_ui - x_uj): how far one is above the other (Rendle et al., UAI 2009, BPR-Opt)."""

    def of_scores(self, positive: Tensor, negative: Tensor) -> Tensor:
        return F.softplus(negative - positive).mean()


def log_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """L0: -mean log(sig(x_ui) + 1e-15) - mean log(1 - sig(x_uj) + 1e-15) (sml.md, e).  # [B], [B] -> []"""
    liked = torch.log(torch.sigmoid(positive) + _TINY).mean()
    left = torch.log(1 - torch.sigmoid(negative) + _TINY).mean()
    return -liked - left


def summed_squares(*rows: Tensor) -> Tensor:
    """0.5 x the sum of squares over a batch's rows, each as often as it occurs (sml.md, e).  # [B, d]... -> []"""
    return 0.5 * torch.stack([row.pow(2).sum() for row in rows]).sum()
