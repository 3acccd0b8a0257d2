"""Next item: every prefix of the new sessions predicts what follows it, until held-out prefixes say stop."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy
from recretrain.backbones.tables import TensorFlowAdam
from recretrain.data.batches import permutation
from recretrain.data.prefixes import Prefixes, prefixes_of
from recretrain.data.schedule import Task
from recretrain.data.stream import TestSet, concatenate
from recretrain.evaluation.evaluator import half_ranks
from recretrain.evaluation.metrics import recall
from recretrain.methods.base import Fit, RetrainMethod, one_of
from recretrain.methods.parts.early_stopping import EarlyStopping

log = logging.getLogger("recretrain")

Loss: TypeAlias = Callable[..., Tensor]


class NextItem(RetrainMethod):
    """Spec (f) of ADER: Finetune and Dropout with `learns=new`, Joint with `learns=all` and `start=cold`."""

    def __init__(
        self,
        *,
        backbone: SequenceBackbone,
        learns: str,
        inputs: str,
        start: str,
        adam: str,
        learning_rate: float,
        batch_size: int,
        epochs: int,
        patience: int,
        validation: float,
        validation_k: int,
    ) -> None:
        super().__init__(backbone=backbone)
        one_of("learns", learns, ("new", "all"))
        one_of("inputs", inputs, ("period", "past"))
        one_of("start", start, ("warm", "cold"))
        one_of("adam", adam, ("carried", "new"))
        if not 0 < validation < 1:
            raise ValueError(f"method.validation={validation} must lie between 0 and 1: the share that is held out")
        self.model = backbone.eval()  # dropout is on in `training` alone
        self.learns_all = learns == "all"
        self.reads_past = self.learns_all or inputs == "past"
        self.cold = start == "cold"
        self.new_adam = adam == "new" or self.cold
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation = validation
        self.validation_k = validation_k
        self.stopping = EarlyStopping(epochs=epochs, patience=patience)
        self.optimizer = self._adam()
        self.known = 0  # items 0..known-1 have appeared: ids are given in that order

    def update(self, task: Task, fit: Fit) -> None:
        prefixes, unmet = self._prefixes(task)
        prefixes = prefixes.to(fit.device)
        before, self.known = self.known, max(self.known, int(prefixes.items.max()) + 1)
        self._start(fit)
        train, held_out = self._split(prefixes, unmet.to(fit.device), fit.generator)
        self.learn(train, held_out.with_input(), before, fit)

    def learn(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        """Fit to `train`; `before` items were known to the model so far."""
        self.fit_to(train, held_out, cross_entropy_of, fit)

    def fit_to(self, train: Prefixes, held_out: Prefixes, loss: Loss, fit: Fit, beside: Beside | None = None) -> None:
        objective = NextItemLoss(self, loss)
        batches = PrefixBatches(train, self.batch_size, self.model.longest, fit.generator, beside)

        def epoch() -> None:
            with training(self.model):
                fit(objective, batches, epochs=1)

        asked = self._as_test(held_out)
        found = self.stopping(
            self.model, self.optimizer, epoch=epoch, measure=lambda: self._recall(asked, fit) if len(asked) else 0.0
        )
        if found:
            best = max(found)
            epochs = f"epoch {found.index(best) + 1} of {len(found)}"
            log.info("held-out recall@%d %.4f after %s (n=%d)", self.validation_k, best, epochs, len(asked))

    def _prefixes(self, task: Task) -> tuple[Prefixes, Tensor]:
        """What there is to learn, and which of it these weights have never been fitted to.  # N entries, [N] bool"""
        today = task.period.train
        if not self.reads_past:
            prefixes = prefixes_of(today)
            return prefixes, torch.ones(len(prefixes), dtype=torch.bool)
        rows = concatenate([*(period.train for period in task.past), today])
        prefixes = prefixes_of(rows)
        row = torch.argsort(rows.user, stable=True)[prefixes.stop]
        new = row >= len(rows) - len(today)
        if self.learns_all:
            return prefixes, new | self.cold
        return prefixes.at(torch.nonzero(new).squeeze(1)), new[new]

    def _start(self, fit: Fit) -> None:
        if self.cold:
            self.model.draw(fit.generator)
        if self.new_adam:
            self.optimizer = self._adam()

    def _adam(self) -> TensorFlowAdam:
        return TensorFlowAdam(list(self.model.parameters()), learning_rate=self.learning_rate)

    def _split(self, prefixes: Prefixes, unmet: Tensor, generator: torch.Generator) -> tuple[Prefixes, Prefixes]:
        """Uniform over prefixes, not over sessions, as released: those of one session may be on both sides.

        What the weights were fitted to in an earlier period says nothing of when to stop, and is not held out.
        """
        met, order = (torch.nonzero(which).squeeze(1) for which in (~unmet, unmet))
        order = order[permutation(len(order), generator)]
        trained = round((1 - self.validation) * len(order))
        return prefixes.at(torch.cat([met, order[:trained]])), prefixes.at(order[trained:])

    def _as_test(self, held_out: Prefixes) -> TestSet:
        return TestSet(
            period=-1,
            user=held_out.user,
            labels=held_out.labels,
            catalogue=torch.arange(self.known, device=held_out.stop.device),
            context={"history": held_out.histories(self.model.longest)},
        )

    def _recall(self, test: TestSet, fit: Fit) -> float:
        rank = half_ranks(self, test, fit.device).double() / 2
        return float(recall(rank, self.validation_k).mean())

    def extra_state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "known": self.known}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.known = state["known"]


class NextItemLoss(LightningModule):
    """What `loss` makes of a batch; the soft-max runs over all known items."""

    def __init__(self, method: NextItem, loss: Loss) -> None:
        super().__init__()
        self.backbone = method.model
        self._optimizer = method.optimizer
        self._known = method.known
        self._loss = loss

    def training_step(self, batch: tuple[Tensor, ...], batch_index: int) -> Tensor:
        return self._loss(self.backbone, self._known, *batch)

    def configure_optimizers(self) -> Optimizer:
        return self._optimizer


def cross_entropy_of(backbone: SequenceBackbone, known: int, history: Tensor, user: Tensor, label: Tensor) -> Tensor:
    return cross_entropy(backbone.represent(history, user), backbone.output, label, known)


Beside = Callable[[int], Iterator[tuple[Tensor, ...]]]  # steps of an epoch -> what each of them gets besides


class PrefixBatches:
    """An epoch of inputs and labels in a fresh order; entries without input count but bring nothing (spec a)."""

    def __init__(
        self, prefixes: Prefixes, batch_size: int, longest: int, generator: torch.Generator, beside: Beside | None
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        self._prefixes = prefixes
        self._size = batch_size
        self._longest = longest
        self._generator = generator
        self._beside = beside(len(self)) if beside else itertools.repeat(())

    def __len__(self) -> int:
        return -(-len(self._prefixes) // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for part in torch.split(permutation(len(self._prefixes), self._generator), self._size):
            usable = self._prefixes.at(part).with_input()
            beside: tuple[Tensor, ...] = next(self._beside)
            if len(usable):
                yield *usable.inputs(self._longest), usable.labels, *beside


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Dropout on, and off again."""
    model.train()
    try:
        yield
    finally:
        model.eval()
