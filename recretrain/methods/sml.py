"""SML trains on new data alone and lets a learned transfer decide, row by row, how much of it to serve.

Zhang et al., SIGIR 2020; docs/methods/sml.md. W_{t-1} is `previous`, W-hat_t `fresh`, W_t what the backbone serves,
Theta `transfer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.base import frozen, over_rows
from recretrain.backbones.mf import MF, dot
from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.tables import take
from recretrain.data.batches import Batches, Negatives, Triples, stored_negatives
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Rankings
from recretrain.data.negatives import NegativeSampler
from recretrain.data.schedule import Task
from recretrain.data.stream import Period
from recretrain.errors import ConfigError
from recretrain.methods.base import Fit, Note, RetrainMethod
from recretrain.methods.learners.base import Lesson
from recretrain.methods.learners.log_loss import LogLoss, LogLossLearner, log_loss, summed_squares
from recretrain.methods.objective import Objective
from recretrain.methods.parts.gate_notes import Met, gate_notes
from recretrain.methods.parts.transfer import Network, Transfer
from recretrain.methods.state import Made, Stateful
from recretrain.values import AtLeast0, AtLeast1, NotNegative, Positive

Tables = dict[str, Tensor]  # {"user": [U, d], "item": [I, d]}
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


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What teaches the transfer, and until when.

    `by`: the period that followed the one fitted, or that one itself (SML-N); `until`: a period, from which on the
    transfer stays as it is (SML-S).
    """

    by: Literal["next", "same"]
    until: AtLeast0 | None

    def period(self, *, fitted: Period, following: Period) -> Period | None:
        """The period whose rows are the lesson; None where there is none any more."""
        if self.until is not None and following.index >= self.until:
            return None
        return following if self.by == "next" else fitted


class Teaching(Stateful):
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
        """`adam`: its moments live for the whole run, as released, or begin anew with each period."""
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.negatives = negatives
        self.new_adam = adam == "new"
        self.taught = taught
        self.adam = Made(lambda weights: DenseAdam(weights, learning_rate=learning_rate, weight_decay=weight_decay))
        self.nets = nn.ModuleDict()

    def make(self, mf: MF) -> None:
        """Draw one network for each table of `mf`."""
        size = mf.user.shape[1]
        self.nets = nn.ModuleDict({table: self.network.made(size) for table in ("user", "item")}).to(mf.device)

    def begin(self, mf: MF, fit: Fit) -> None:
        """Teach the networks what they are to know before the first lesson, by the fitted rows of `mf`."""
        for name, table in tables(mf).items():
            self.network.begin(self.net(name), table, fit)

    def net(self, table: str) -> Transfer:
        """The network of a table, `user` or `item`."""
        found = self.nets[table]
        assert isinstance(found, Transfer)
        return found

    def __call__(self, mf: MF, period: Period, previous: Tables, fresh: Tables, fit: Fit) -> None:
        batches = batches_of(mf, period, fit, negatives=self.negatives, batch_size=self.batch_size)
        fit(TransferObjective(previous, fresh, self.nets, self.adam.over(self.nets)), batches, epochs=self.epochs)


class SML(RetrainMethod[MF]):
    """Algorithm 2 of the paper in the order of the released code: the transfer learns from a period when that period
    has become today, after its questions were answered. docs/methods/sml.md (a).
    """

    kept = ("previous", "fresh_rows")
    grows_apart = "the transfer passes over all rows in each period, those of later users and items too (sml.md, T2)"

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
        """`lessons_from`: a period of the warm-up block, from which on it is gone through period by period to teach
        the transfer, before the run begins from rows fitted to the whole block (sml.md, l).
        """
        super().__init__(backbone=backbone)
        self.pretraining = pretraining
        self.fresh = fresh
        self.transfer = transfer
        self.loops = loops
        self.continues_from = continues_from
        self.inactive_rows = inactive_rows
        self.lessons_from = lessons_from
        self.transfer.make(backbone)
        self.met = Met(tables(backbone))
        self.previous: Tables | None = None  # None until the first period after the warm-up
        self.fresh_rows: Tables | None = None
        self._notes: list[Note] = []

    def update(self, task: Task, fit: Fit) -> None:
        if not task.past:
            self._warm_up(task.period, fit)
        else:
            if self.previous is not None:  # today's data answer how well yesterday's blend foresaw them
                self._finish(yesterday=task.past[-1], today=task.period, fit=fit)
            self._begin(task.period, fit)
            self._notes = self._about_gates(task.period.train)
        self.met.add(task.period.train)

    def notes(self) -> Sequence[Note]:
        return self._notes

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As of every `Stateful`; users and items that came since were served as they are drawn."""
        super().load_state_dict(state)
        own = tables(self.backbone)
        for rows in (self.previous, self.fresh_rows):
            if rows is not None:
                rows.update({name: over_rows(table, own[name]) for name, table in rows.items()})

    def _warm_up(self, block: Period, fit: Fit) -> None:
        """Fit the rows to all of the block, as every method that shares the pre-training does."""
        early, late = self._parted(block)
        drawn = copy_tables(self.backbone)
        self._pretrain_once(Lesson(block, [], whole=False, cold=False), fit)
        if not late:
            self.transfer.begin(self.backbone, fit)
            return
        start = copy_tables(self.backbone)
        self._serve(drawn)
        self._take_lessons(early, late, fit)
        self._serve(start)
        self.previous = self.fresh_rows = None
        self.fresh.adam.renew()

    def _pretrain_once(self, lesson: Lesson, fit: Fit) -> None:
        fit.once("pretraining", self.backbone, lambda: self.pretraining.fit(self.backbone, lesson, fit))
        self.pretraining.renew()

    def _parted(self, block: Period) -> tuple[Sequence[Period], Sequence[Period]]:
        """The periods of the warm-up before `lessons_from` and from it on; none where there are no lessons in it."""
        if self.lessons_from is None:
            return (), ()
        parts, needed = block.parts, self.lessons_from + 2  # one to fit, one to be taught by
        early = [part for part in parts if part.index < self.lessons_from]
        late = [part for part in parts if part.index >= self.lessons_from]
        if len(late) < 2:
            raise ConfigError(
                f"method.lessons_from={self.lessons_from} needs a warm-up of at least {needed} periods, and "
                f"{block.name} is {max(len(parts), 1)}: lower it, set schedule.warm_up=tests for a longer warm-up, or "
                "method.lessons_from=null"
            )
        return early, late

    def _take_lessons(self, early: Sequence[Period], late: Sequence[Period], fit: Fit) -> None:
        """Fit the rows to the early periods, then teach the transfer by the late ones, stage by stage."""
        *past, last = early
        self.pretraining.fit(self.backbone, Lesson(last, past, whole=True, cold=False), fit)
        self.pretraining.renew()
        self.transfer.begin(self.backbone, fit)
        yesterday = late[0]
        for today in late[1:]:
            self._begin(yesterday, fit)
            self._finish(yesterday=yesterday, today=today, fit=fit)
            yesterday = today

    def _begin(self, today: Period, fit: Fit) -> None:
        """The part of today's stage that precedes its test: one fit of `fresh`, one blend."""
        if self.fresh.new_adam:
            self.fresh.adam.renew()
        self.previous = copy_tables(self.backbone)
        self._fit_fresh(today, fit)
        self._blend(today)

    def _finish(self, *, yesterday: Period, today: Period, fit: Fit) -> None:
        """The rest of yesterday's stage: the transfer learns, `fresh` is fitted again under it, and so on."""
        lesson = self.transfer.taught.period(fitted=yesterday, following=today)
        if lesson is None:
            return
        assert self.previous is not None
        assert self.fresh_rows is not None
        if self.transfer.new_adam:
            self.transfer.adam.renew()
        own = self.continues_from == "own"
        if own:
            self._serve(self.fresh_rows)
        for loop in range(self.loops):
            if loop:
                self._fit_fresh(yesterday, fit)
            self.transfer(self.backbone, lesson, self.previous, self.fresh_rows, fit)
            if not own:  # the released code's monitoring does this as a side effect (sml.md, T1)
                self._blend(yesterday)
        if own:
            self._blend(yesterday)

    def _fit_fresh(self, period: Period, fit: Fit) -> None:
        assert self.previous is not None
        self.fresh(self.backbone, period, self.previous, self.transfer.nets, fit)
        self.fresh_rows = copy_tables(self.backbone)

    @torch.no_grad()
    def _blend(self, period: Period) -> None:
        """Serve f(previous, fresh): for all rows, or only for those with an interaction in `period` (sml.md, T2)."""
        assert self.previous is not None
        assert self.fresh_rows is not None
        for name, table in tables(self.backbone).items():
            net = self.transfer.net(name)
            previous, fresh = self.previous[name], self.fresh_rows[name]
            if self.inactive_rows == "transferred":
                net.blend_into(table, previous, fresh)
                continue
            active = period.train.user if name == "user" else period.train.item
            ids = torch.unique(active).to(table.device)
            blended = torch.empty_like(table[ids])
            net.blend_into(blended, previous[ids], fresh[ids])
            table.copy_(previous).index_copy_(0, ids, blended)

    @torch.no_grad()
    def _serve(self, rows: Tables) -> None:
        for name, table in tables(self.backbone).items():
            table.copy_(rows[name])

    def _about_gates(self, rows: Interactions) -> list[Note]:
        assert self.previous is not None
        assert self.fresh_rows is not None
        nets = {name: self.transfer.net(name) for name in self.previous}
        return gate_notes(nets, self.previous, self.fresh_rows, rows, self.met)

    def trained_parameters(self) -> int:
        return super().trained_parameters() + sum(p.numel() for p in self.transfer.nets.parameters())


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


def tables(mf: MF) -> Tables:
    return {"user": mf.user.detach(), "item": mf.item.detach()}


def copy_tables(mf: MF) -> Tables:
    return {name: table.clone() for name, table in tables(mf).items()}
