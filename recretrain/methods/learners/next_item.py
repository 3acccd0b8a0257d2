"""Next item: every prefix of the new sessions predicts its next item, until held-out prefixes say stop (ader.md, f)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy
from recretrain.data.batches import permutation
from recretrain.data.interactions import concatenate
from recretrain.data.kinds import Histories
from recretrain.data.prefixes import Prefixes, order_of_sequences, prefixes_of
from recretrain.evaluation.metrics import recall
from recretrain.evaluation.rankings import half_ranks
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson, TeachingLearner
from recretrain.methods.objective import Objective
from recretrain.methods.parts.early_stopping import EarlyStopping
from recretrain.methods.state import Made
from recretrain.values import AtLeast1, Part, Positive

log = logging.getLogger("recretrain")


class Exemplars(NamedTuple):
    """Prefixes of the past that a step learns beside the new ones."""

    history: Tensor  # [E, <= T]
    user: Tensor  # [E]
    label: Tensor  # [E]
    answer: Tensor | None  # [E, d] the teacher's vectors, where the loss distils
    share: float = 1.0  # of all exemplars of the step, in proportion to the share of its new prefixes


class PrefixBatch(NamedTuple):
    history: Tensor  # [B, <= T]
    user: Tensor  # [B]
    label: Tensor  # [B]
    exemplars: Exemplars | None = None


Loss: TypeAlias = Callable[[SequenceBackbone, int, PrefixBatch], Tensor]  # backbone, known items, batch -> []
Beside: TypeAlias = Callable[[int], Iterator[Exemplars]]  # steps of an epoch -> the exemplars of each step


@dataclass(frozen=True)
class Split:
    """The prefixes of a lesson, and how many items there were."""

    train: Prefixes  # those without an input too: they count as steps but bring nothing (ader.md, a)
    held_out: Prefixes
    before: int  # items 0..before-1 were known to the model so far
    known: int  # items 0..known-1 are known now: ids are given in that order


class NextItemLearner(TeachingLearner[SequenceBackbone]):
    """Adam with early stopping; weights and moments are those of the best epoch."""

    trains = SequenceBackbone
    kept = ("known",)

    def __init__(
        self,
        *,
        inputs: Literal["period", "past"],
        adam: Literal["carried", "new"],
        learning_rate: Positive,
        batch_size: AtLeast1,
        epochs: AtLeast1,
        patience: AtLeast1,
        validation: Part,
        validation_k: AtLeast1,
    ) -> None:
        """`inputs`: the items before one, of its own period (sessions) or of all periods (users).

        `adam`: whether the moments of the best epoch are carried to the next period. `validation`: the share of the
        new prefixes that is held out, whose recall at `validation_k` decides when to stop.
        """
        self.reads_past = inputs == "past"
        self.new_adam = adam == "new"
        self.batch_size = batch_size
        self.validation = validation
        self.validation_k = validation_k
        self.stopping = EarlyStopping(epochs=epochs, patience=patience)
        self.adam = Made(lambda weights: TensorFlowAdam(weights, learning_rate=learning_rate))
        self.known = 0

    def fit(self, backbone: SequenceBackbone, lesson: Lesson, fit: Fit) -> None:
        self.fit_to(backbone, self.split(lesson, fit), plain, fit)

    def lessons(
        self, backbone: SequenceBackbone, lesson: Lesson, fit: Fit, *, batch_size: int
    ) -> tuple[NextItemLoss, PrefixBatches]:
        prefixes = self._prefixes(lesson)[0].to(fit.device)
        known = max(self.known, int(prefixes.items.max()) + 1)
        batches = PrefixBatches(prefixes, batch_size, backbone.longest, fit.generator, None)
        return NextItemLoss(backbone, None, plain, known), batches

    def renew(self) -> None:
        self.adam.renew()

    def split(self, lesson: Lesson, fit: Fit) -> Split:
        """The prefixes to learn from and those that are held out; begins a fit, so call it once."""
        if self.new_adam:
            self.renew()
        prefixes, unmet = self._prefixes(lesson)
        prefixes, unmet = prefixes.to(fit.device), unmet.to(fit.device)
        before, self.known = self.known, max(self.known, int(prefixes.items.max()) + 1)
        met, order = (torch.nonzero(which).squeeze(1) for which in (~unmet, unmet))
        # uniform over prefixes, not over sessions, as released: those of one session may be on both sides
        order = order[permutation(len(order), fit.generator)]
        trained = round((1 - self.validation) * len(order))
        train, held_out = prefixes.at(torch.cat([met, order[:trained]])), prefixes.at(order[trained:])
        return Split(train, held_out.with_input(), before, self.known)

    def fit_to(
        self, backbone: SequenceBackbone, split: Split, loss: Loss, fit: Fit, beside: Beside | None = None
    ) -> None:
        """Fit to the split's prefixes by `loss`, with exemplars beside them."""
        optimizer = self.adam.over(backbone)
        objective = NextItemLoss(backbone, optimizer, loss, split.known)
        batches = PrefixBatches(split.train, self.batch_size, backbone.longest, fit.generator, beside)
        asked = _as_test(split, backbone.longest)

        def epoch() -> None:
            with training(backbone):
                fit(objective, batches, epochs=1)

        def measure() -> float:
            if not len(asked):
                return 0.0
            return float(recall(half_ranks(backbone, asked, fit.device).double() / 2, self.validation_k).mean())

        found = self.stopping(backbone, optimizer, epoch=epoch, measure=measure, note=fit.measured)
        best = max(found)
        epochs = f"epoch {found.index(best) + 1} of {len(found)}"
        log.info("held-out recall@%d %.4f after %s (n=%d)", self.validation_k, best, epochs, len(asked))

    def _prefixes(self, lesson: Lesson) -> tuple[Prefixes, Tensor]:
        """The prefixes to learn from, and which of them the weights have not been trained on.  # [N] bool

        Only the latter may be held out: the others cannot tell when to stop.
        """
        today = lesson.period.train
        if not (lesson.whole or self.reads_past):
            prefixes = prefixes_of(today)
            return prefixes, torch.ones(len(prefixes), dtype=torch.bool)
        rows = concatenate([*(period.train for period in lesson.past), today])
        prefixes = prefixes_of(rows)
        row = order_of_sequences(rows)[prefixes.stop]
        new = row >= len(rows) - len(today)
        if lesson.whole:
            return prefixes, new | lesson.cold
        return prefixes.at(torch.nonzero(new).squeeze(1)), new[new]


class NextItemLoss(Objective[PrefixBatch]):
    """The loss of a batch of prefixes; the soft-max runs over all known items."""

    divides = True

    def __init__(self, backbone: SequenceBackbone, optimizer: Optimizer | None, loss: Loss, known: int) -> None:
        super().__init__(optimizer)
        self.backbone = backbone
        self._known = known
        self._loss = loss

    def loss(self, batch: PrefixBatch) -> Tensor:
        return self._loss(self.backbone, self._known, batch)

    def part(self, batch: PrefixBatch, rank: int, ranks: int) -> PrefixBatch | None:
        mine = super().part(batch, rank, ranks)
        if mine is None or mine.exemplars is None or batch.exemplars is None:
            return mine
        kept = len(mine.exemplars.label) / len(batch.exemplars.label)
        share = kept / (len(mine.label) / len(batch.label))
        return mine._replace(exemplars=mine.exemplars._replace(share=share) if kept else None)


def plain(backbone: SequenceBackbone, known: int, batch: PrefixBatch) -> Tensor:
    """Cross-entropy of the labels over the known items.  # -> []"""
    return cross_entropy(backbone.represent(batch.history, batch.user), backbone.output, batch.label, known)


class PrefixBatches:
    """An epoch of prefixes in a fresh order; entries without input count but bring nothing (ader.md, a)."""

    def __init__(
        self, prefixes: Prefixes, batch_size: int, longest: int, generator: torch.Generator, beside: Beside | None
    ) -> None:
        self._prefixes = prefixes
        self._size = batch_size
        self._longest = longest
        self._generator = generator
        self._beside: Iterator[Exemplars | None] = beside(len(self)) if beside else itertools.repeat(None)

    def __len__(self) -> int:
        return -(-len(self._prefixes) // self._size)

    def __iter__(self) -> Iterator[PrefixBatch]:
        for part in torch.split(permutation(len(self._prefixes), self._generator), self._size):
            usable = self._prefixes.at(part).with_input()
            exemplars = next(self._beside)
            if len(usable):
                yield PrefixBatch(*usable.inputs(self._longest), usable.labels, exemplars)


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Dropout on, and off again."""
    model.train()
    try:
        yield
    finally:
        model.eval()


def _as_test(split: Split, longest: int) -> Histories:
    held_out = split.held_out
    return Histories(
        period=-1,
        user=held_out.user,
        labels=held_out.labels,
        catalogue=torch.arange(split.known, device=held_out.stop.device),
        history=held_out.histories(longest),
    )
