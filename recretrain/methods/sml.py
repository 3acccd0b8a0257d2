"""SML trains on new data alone and lets a learned transfer decide, row by row, how much of it to serve.

Zhang et al., SIGIR 2020. W_{t-1} is `previous`, W-hat_t `fresh`, W_t what the backbone serves, Theta `transfer`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.base import frozen
from recretrain.backbones.mf import MF, dot
from recretrain.backbones.tables import DenseAdam, take
from recretrain.data.batches import Batches, Negatives, Triples, stored_negatives
from recretrain.data.negatives import NegativeSampler
from recretrain.data.schedule import Task
from recretrain.data.stream import Interactions, Period
from recretrain.errors import DataError
from recretrain.methods.base import Fit, RetrainMethod, one_of
from recretrain.methods.objectives import LogLoss, log_loss, summed_squares
from recretrain.methods.parts.pretraining import Pretraining
from recretrain.methods.parts.transfer import Transfer

Tables = dict[str, Tensor]  # {"user": [U, d], "item": [I, d]}


class SML(RetrainMethod):
    """Algorithm 2 of the paper in the order of the released code (spec a): what a period teaches the transfer is
    learned when that period has become today, after its questions were answered.
    """

    def __init__(
        self,
        *,
        backbone: MF,
        pretraining: Pretraining,
        loops: int,
        fresh_epochs: int,
        fresh_learning_rate: float,
        fresh_reg: float,
        fresh_reg_scaling: str,
        fresh_batch_size: int,
        fresh_negatives: str,
        fresh_through_transfer: bool,
        fresh_continues_from: str,
        transfer_epochs: int,
        transfer_learning_rate: float,
        transfer_weight_decay: float,
        transfer_batch_size: int,
        transfer_negatives: str,
        transfer_taught_on: str,
        transfer_taught_until: int | None,
        transfer_filters: Sequence[int],
        transfer_hidden: int,
        transfer_product: bool,
        transfer_detach_product: bool,
        transfer_epsilon: float,
        inactive_rows: str,
        adam: str,
    ) -> None:
        super().__init__(backbone=backbone)
        one_of("fresh_reg_scaling", fresh_reg_scaling, ("summed", "mean"))
        one_of("fresh_negatives", fresh_negatives, ("stored", "period"))
        one_of("transfer_negatives", transfer_negatives, ("stored", "period"))
        one_of("fresh_continues_from", fresh_continues_from, ("transferred", "own"))
        one_of("transfer_taught_on", transfer_taught_on, ("next", "same"))
        one_of("inactive_rows", inactive_rows, ("transferred", "kept"))
        one_of("adam", adam, ("persistent", "per_period"))
        self.mf = backbone
        self.pretraining = pretraining
        self.loops = loops
        self.fresh_epochs = fresh_epochs
        self.fresh_learning_rate = fresh_learning_rate
        self.fresh_reg = fresh_reg
        self.fresh_reg_is_mean = fresh_reg_scaling == "mean"
        self.fresh_batch_size = fresh_batch_size
        self.fresh_from_stored = fresh_negatives == "stored"
        self.fresh_through_transfer = fresh_through_transfer
        self.fresh_continues_from_own = fresh_continues_from == "own"
        self.transfer_epochs = transfer_epochs
        self.transfer_batch_size = transfer_batch_size
        self.transfer_from_stored = transfer_negatives == "stored"
        self.taught_on_next = transfer_taught_on == "next"
        self.taught_until = transfer_taught_until
        self.keep_inactive = inactive_rows == "kept"
        self.adam_persists = adam == "persistent"
        self.transfer = nn.ModuleDict(
            {
                table: Transfer(
                    embedding_size=backbone.user.shape[1],
                    filters=transfer_filters,
                    hidden=transfer_hidden,
                    product=transfer_product,
                    detach_product=transfer_detach_product,
                    epsilon=transfer_epsilon,
                )
                for table in ("user", "item")
            }
        ).to(backbone.device)
        self.fresh_optimizer = DenseAdam(list(backbone.parameters()), learning_rate=fresh_learning_rate)
        self.transfer_optimizer = DenseAdam(
            list(self.transfer.parameters()), learning_rate=transfer_learning_rate, weight_decay=transfer_weight_decay
        )
        self.previous: Tables | None = None  # None until the first period after the warm-up
        self.fresh: Tables | None = None

    def update(self, task: Task, fit: Fit) -> None:
        if not task.past:
            self.pretraining(self.mf, task.period.train, fit)
            return
        if self.previous is not None:  # today's data answer how well yesterday's blend foresaw them
            self._finish(yesterday=task.past[-1], today=task.period, fit=fit)
        self._begin(task.period, fit)

    def _begin(self, today: Period, fit: Fit) -> None:
        """The part of today's stage that precedes its test: one fit of `fresh`, one blend."""
        if not self.adam_persists:
            self.fresh_optimizer = DenseAdam(list(self.mf.parameters()), learning_rate=self.fresh_learning_rate)
        self.previous = copy_tables(self.mf)
        self._fit_fresh(today, fit)
        self._blend(today.train)

    def _finish(self, *, yesterday: Period, today: Period, fit: Fit) -> None:
        """The rest of yesterday's stage: the transfer learns, `fresh` is fitted again under it, and so on."""
        if self.taught_until is not None and today.index >= self.taught_until:
            return
        lesson = today if self.taught_on_next else yesterday
        for loop in range(self.loops):
            if loop:
                if self.fresh_continues_from_own:
                    self._restore_fresh()
                self._fit_fresh(yesterday, fit)
            self._teach_transfer(lesson, fit)
            self._blend(yesterday.train)  # the released code's monitoring does this as a side effect (spec T1)

    def _fit_fresh(self, period: Period, fit: Fit) -> None:
        assert self.previous is not None
        batches = self._batches(period, fit, stored=self.fresh_from_stored, batch_size=self.fresh_batch_size)
        reg = self.fresh_reg / self.fresh_batch_size if self.fresh_reg_is_mean else self.fresh_reg
        objective: LightningModule = LogLoss(self.mf, self.fresh_optimizer, reg=reg)
        if self.fresh_through_transfer:
            objective = FreshObjective(self.mf, self.previous, self.transfer, self.fresh_optimizer, reg=reg)
        fit(objective, batches, epochs=self.fresh_epochs)
        self.fresh = copy_tables(self.mf)

    def _teach_transfer(self, period: Period, fit: Fit) -> None:
        assert self.previous is not None
        assert self.fresh is not None
        batches = self._batches(period, fit, stored=self.transfer_from_stored, batch_size=self.transfer_batch_size)
        lesson = TransferObjective(self.previous, self.fresh, self.transfer, self.transfer_optimizer)
        fit(lesson, batches, epochs=self.transfer_epochs)

    def _batches(self, period: Period, fit: Fit, *, stored: bool, batch_size: int) -> Batches:
        """Negatives: of each row's stored candidates, or of the period's own items."""
        rows = period.train.to(fit.device)
        if not stored:
            negatives: Negatives = NegativeSampler.within(rows.user, rows.item, len(self.mf.item))
        else:
            candidates = period.own["arrivals"].candidates
            if candidates is None:
                raise DataError("stored negatives need eval.candidates; else give method.*_negatives=period")
            negatives = stored_negatives(candidates.to(fit.device))
        return Batches(rows, negatives, batch_size=batch_size, generator=fit.generator)

    @torch.no_grad()
    def _blend(self, rows: Interactions) -> None:
        """Serve f(previous, fresh): for all rows, or only for those with an interaction in `rows` (spec T2)."""
        assert self.previous is not None
        assert self.fresh is not None
        active = {"user": rows.user, "item": rows.item}
        for name, table in tables(self.mf).items():
            net = self.transfer[name]
            assert isinstance(net, Transfer)
            previous, fresh = self.previous[name], self.fresh[name]
            if not self.keep_inactive:
                net.blend_into(table, previous, fresh)
                continue
            ids = torch.unique(active[name]).to(table.device)
            blended = torch.empty_like(table[ids])
            net.blend_into(blended, previous[ids], fresh[ids])
            table.copy_(previous).index_copy_(0, ids, blended)

    @torch.no_grad()
    def _restore_fresh(self) -> None:
        assert self.fresh is not None
        for name, table in tables(self.mf).items():
            table.copy_(self.fresh[name])

    def extra_state(self) -> dict[str, Any]:
        return {
            "transfer": self.transfer.state_dict(),
            "fresh_optimizer": self.fresh_optimizer.state_dict(),
            "transfer_optimizer": self.transfer_optimizer.state_dict(),
            "previous": self.previous,
            "fresh": self.fresh,
        }

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.transfer.load_state_dict(state["transfer"])
        self.fresh_optimizer.load_state_dict(state["fresh_optimizer"])
        self.transfer_optimizer.load_state_dict(state["transfer_optimizer"])
        self.previous, self.fresh = (_to(state[name], self.mf.device) for name in ("previous", "fresh"))

    def trained_parameters(self) -> int:
        return super().trained_parameters() + sum(p.numel() for p in self.transfer.parameters())


class _Blended(LightningModule):
    """Rows of a batch as the transfer would serve them: user, positive and negative items."""

    def __init__(self, transfer: nn.ModuleDict, optimizer: Optimizer) -> None:
        super().__init__()
        self.transfer = transfer
        self._optimizer = optimizer

    def blended_loss(self, batch: Triples, previous: Tables, fresh: Tables) -> Tensor:
        user, positive, negative = batch
        item = torch.cat([positive, negative])
        u = self.transfer["user"](previous["user"][user], take(fresh["user"], user))
        i, j = self.transfer["item"](previous["item"][item], take(fresh["item"], item)).split(len(user))
        return log_loss(dot(u, i), dot(u, j))

    def configure_optimizers(self) -> Optimizer:
        return self._optimizer


class FreshObjective(_Blended):
    """The What step (spec e): the loss of the blended rows, with gradients for the backbone's rows only."""

    def __init__(self, mf: MF, previous: Tables, transfer: nn.ModuleDict, optimizer: Optimizer, *, reg: float) -> None:
        super().__init__(transfer, optimizer)
        self.mf = mf
        self._previous = previous
        self._reg = reg

    def training_step(self, batch: Triples, batch_index: int) -> Tensor:
        user, positive, negative = batch
        with frozen(self.transfer):
            loss = self.blended_loss(batch, self._previous, {"user": self.mf.user, "item": self.mf.item})
        if not self._reg:
            return loss
        rows = take(self.mf.user, user), take(self.mf.item, positive), take(self.mf.item, negative)
        return loss + self._reg * summed_squares(*rows)


class TransferObjective(_Blended):
    """The Theta step (spec e): L0 of the blended rows of the period that followed; gradients for the transfer only."""

    def __init__(self, previous: Tables, fresh: Tables, transfer: nn.ModuleDict, optimizer: Optimizer) -> None:
        super().__init__(transfer, optimizer)
        self._previous = previous
        self._fresh = fresh

    def training_step(self, batch: Triples, batch_index: int) -> Tensor:
        return self.blended_loss(batch, self._previous, self._fresh)


def tables(mf: MF) -> Tables:
    return {"user": mf.user.detach(), "item": mf.item.detach()}


def copy_tables(mf: MF) -> Tables:
    return {name: table.clone() for name, table in tables(mf).items()}


def _to(saved: Tables | None, device: torch.device) -> Tables | None:
    return None if saved is None else {name: table.to(device) for name, table in saved.items()}
