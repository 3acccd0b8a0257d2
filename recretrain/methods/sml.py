"""SML trains on new data alone and lets a learned transfer decide, row by row, how much of it to serve.

Zhang et al., SIGIR 2020; docs/methods/sml.md. The order of its steps is `transferring`; here are the losses of its two
kinds of step, over matrix factorisation.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.base import frozen
from recretrain.backbones.mf import MF, dot
from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.tables import take
from recretrain.data.batches import Batches, Negatives, Triples, stored_negatives
from recretrain.data.kinds import Rankings
from recretrain.data.negatives import NegativeSampler
from recretrain.data.stream import Period
from recretrain.errors import ConfigError
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson, pretrain
from recretrain.methods.learners.log_loss import LogLoss, LogLossLearner, log_loss, summed_squares
from recretrain.methods.objective import Objective
from recretrain.methods.parts.teaching import Tables, Taught, TransferTeaching
from recretrain.methods.parts.transfer import Network
from recretrain.methods.state import Made, Stateful
from recretrain.methods.transferring import Transferring
from recretrain.values import AtLeast1, NotNegative, Positive

Drawn = Literal["stored", "period"]  # negatives: of each row's stored candidates, or of the period's own items


class FreshFit(Stateful):
    """Fits the backbone's rows to one period, through the transfer that will blend them or by the plain loss."""

    def __init__(
        self,
        *,
        epochs: AtLeast1,
        learning_rate: Positive,
        reg: NotNegative,
        reg_scaling: Literal["summed", "mean"],
        batch_size: AtLeast1,
        negatives: Drawn,
        through_transfer: bool,
        adam: Literal["carried", "new"],
    ) -> None:
        """`adam`: its moments live for the whole run, as released, or begin anew with each period."""
        self.epochs = epochs
        self.reg = reg / batch_size if reg_scaling == "mean" else reg
        self.batch_size = batch_size
        self.negatives = negatives
        self.through_transfer = through_transfer
        self.new_adam = adam == "new"
        self.adam = Made(lambda weights: DenseAdam(weights, learning_rate=learning_rate))

    def __call__(self, mf: MF, period: Period, previous: Tables, transfer: nn.ModuleDict, fit: Fit) -> None:
        batches = batches_of(mf, period, fit, negatives=self.negatives, batch_size=self.batch_size)
        optimizer = self.adam.over(mf)
        objective: Objective[Triples] = LogLoss(mf, optimizer, reg=self.reg)
        if self.through_transfer:
            objective = FreshObjective(mf, previous, transfer, optimizer, reg=self.reg)
        fit(objective, batches, epochs=self.epochs)


class Teaching(TransferTeaching):
    """The transfer's own settings: its networks, and how and on what they are taught."""

    def __init__(
        self,
        *,
        network: Network,
        epochs: AtLeast1,
        learning_rate: Positive,
        weight_decay: NotNegative,
        batch_size: AtLeast1,
        negatives: Drawn,
        adam: Literal["carried", "new"],
        taught: Taught,
    ) -> None:
        super().__init__(
            network=network,
            epochs=epochs,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            adam=adam,
            taught=taught,
        )
        self.negatives = negatives

    def __call__(self, mf: MF, period: Period, previous: Tables, fresh: Tables, fit: Fit) -> None:
        batches = batches_of(mf, period, fit, negatives=self.negatives, batch_size=self.batch_size)
        fit(TransferObjective(previous, fresh, self.nets, self.adam.over(self.nets)), batches, epochs=self.epochs)


class SML(Transferring[MF]):
    """SML as released, over matrix factorisation; its transfer may take part in the fit of the fresh rows too.

    docs/methods/sml.md (a), (e).
    """

    transfer: Teaching

    def __init__(
        self,
        *,
        backbone: MF,
        pretraining: LogLossLearner,
        fresh: FreshFit,
        transfer: Teaching,
        loops: AtLeast1,
        continues_from: Literal["transferred", "own"],
        inactive_rows: Literal["transferred", "kept"],
        lessons_from: AtLeast1 | None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            transfer=transfer,
            loops=loops,
            continues_from=continues_from,
            inactive_rows=inactive_rows,
            lessons_from=lessons_from,
        )
        self.pretraining = pretraining
        self.fresh = fresh

    def fit_block(self, lesson: Lesson, fit: Fit) -> None:
        pretrain(self.backbone, self.pretraining, lesson, fit)

    def fit_early(self, lesson: Lesson, fit: Fit) -> None:
        self.pretraining.fit(self.backbone, lesson, fit)
        self.pretraining.renew()

    def fit_fresh(self, lesson: Lesson, fit: Fit) -> None:
        assert self.previous is not None
        self.fresh(self.backbone, lesson.period, self.previous, self.transfer.nets, fit)

    def teach(self, lesson: Lesson, fit: Fit) -> None:
        assert self.previous is not None
        assert self.fresh_rows is not None
        self.transfer(self.backbone, lesson.period, self.previous, self.fresh_rows, fit)

    def begin_period(self) -> None:
        if self.fresh.new_adam:
            self.fresh.adam.renew()

    def begin_anew(self) -> None:
        self.fresh.adam.renew()


def batches_of(mf: MF, period: Period, fit: Fit, *, negatives: Drawn, batch_size: int) -> Batches:
    """The period's rows, each with a negative."""
    rows = period.train.to(fit.device)
    draw: Negatives
    if negatives == "period":
        draw = NegativeSampler.within(rows.user, rows.item, len(mf.item))
    else:
        asked = period.questions
        if not isinstance(asked, Rankings) or asked.candidates is None:
            raise ConfigError(
                "stored negatives need eval.questions.candidates; else set method.fresh.negatives=period and "
                "method.transfer.negatives=period"
            )
        draw = stored_negatives(asked.candidates.to(fit.device))
    return Batches(rows, draw, batch_size=batch_size, generator=fit.generator)


class _Blended(Objective[Triples]):
    """Rows of a batch as the transfer would serve them: user, positive and negative items."""

    divides = True

    def __init__(self, transfer: nn.ModuleDict, optimizer: Optimizer | None) -> None:
        super().__init__(optimizer)
        self.transfer = transfer

    def blended_loss(self, batch: Triples, previous: Tables, fresh: Tables) -> Tensor:
        user, positive, negative = batch
        item = torch.cat([positive, negative])
        u = self.transfer["user"](previous["user"][user], take(fresh["user"], user))
        i, j = self.transfer["item"](previous["item"][item], take(fresh["item"], item)).split(len(user))
        return log_loss(dot(u, i), dot(u, j))


class FreshObjective(_Blended):
    """The What step (sml.md, e): the loss of the blended rows, with gradients for the backbone's rows only."""

    def __init__(
        self, mf: MF, previous: Tables, transfer: nn.ModuleDict, optimizer: Optimizer | None, *, reg: float
    ) -> None:
        super().__init__(transfer, optimizer)
        self.mf = mf
        self._previous = previous
        self._reg = reg

    def loss(self, batch: Triples) -> Tensor:
        user, positive, negative = batch
        with frozen(self.transfer):
            loss = self.blended_loss(batch, self._previous, {"user": self.mf.user, "item": self.mf.item})
        if not self._reg:
            return loss
        rows = take(self.mf.user, user), take(self.mf.item, positive), take(self.mf.item, negative)
        return loss + self._reg / self.share * summed_squares(*rows)


class TransferObjective(_Blended):
    """The Theta step (sml.md, e): L0 of the blended rows of the period that followed, for the transfer only."""

    def __init__(self, previous: Tables, fresh: Tables, transfer: nn.ModuleDict, optimizer: Optimizer | None) -> None:
        super().__init__(transfer, optimizer)
        self._previous = previous
        self._fresh = fresh

    def loss(self, batch: Triples) -> Tensor:
        return self.blended_loss(batch, self._previous, self._fresh)
