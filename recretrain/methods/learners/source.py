"""Pre-training on a source: every item from those before it, or hidden ones from both sides (peterrec.md, c)."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.optimizers import OptimizerName, optimizer_of
from recretrain.backbones.sampled_softmax import LogUniform, in_batch, sampled_cross_entropy
from recretrain.backbones.softmax import cross_entropy
from recretrain.backbones.trunk import Trunk
from recretrain.data.batches import permutation
from recretrain.data.interactions import Interactions
from recretrain.data.prefixes import Prefixes, by_user
from recretrain.errors import DataError
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Learner, Lesson
from recretrain.methods.learners.next_item import training
from recretrain.methods.objective import Objective
from recretrain.methods.state import Made
from recretrain.values import AtLeast1, Positive, Share

log = logging.getLogger("recretrain")


class Guess(NamedTuple):
    """Positions of a batch of windows, and the items to be guessed there."""

    tokens: Tensor  # [B, T] rows of the trunk's table, PAD where there is none
    at: tuple[Tensor, Tensor]  # rows and columns, [N] each
    label: Tensor  # [N]


class Softmax(ABC):
    """Over which items the soft-max of pre-training runs."""

    @abstractmethod
    def over(self, counts: Tensor) -> SoftmaxLoss:
        """The loss for items that occur so often; 0: not to be guessed.  # [n_items]"""


class SoftmaxLoss(ABC):
    @abstractmethod
    def __call__(self, features: Tensor, trunk: Trunk, label: Tensor, generator: torch.Generator) -> Tensor:
        """# [N, d + 1], [N] -> []"""


@dataclass(frozen=True, kw_only=True)
class FullSoftmax(Softmax):
    """All items that are known."""

    def over(self, counts: Tensor) -> SoftmaxLoss:
        return _Full(torch.nonzero(counts).squeeze(1))


@dataclass(frozen=True, kw_only=True)
class SampledSoftmax(Softmax):
    """Items drawn log-uniformly by frequency for each batch, with correction (logQ)."""

    negatives: AtLeast1  # distinct items drawn for each batch

    def over(self, counts: Tensor) -> SoftmaxLoss:
        known = int((counts > 0).sum())
        ranked = torch.argsort(counts, descending=True, stable=True)[:known]
        return _Sampled(LogUniform(ranked, len(counts)), self.negatives)


@dataclass(frozen=True, kw_only=True)
class InBatchSoftmax(Softmax):
    """The labels of the batch, with correction by their frequency."""

    def over(self, counts: Tensor) -> SoftmaxLoss:
        return _InBatch((counts / counts.sum()).log())


class _Full(SoftmaxLoss):
    def __init__(self, items: Tensor) -> None:
        self._items = items

    def __call__(self, features: Tensor, trunk: Trunk, label: Tensor, generator: torch.Generator) -> Tensor:
        return cross_entropy(features, trunk.output, label, self._items)


class _Sampled(SoftmaxLoss):
    def __init__(self, sampler: LogUniform, count: int) -> None:
        self._sampler = sampler
        self._count = count

    def __call__(self, features: Tensor, trunk: Trunk, label: Tensor, generator: torch.Generator) -> Tensor:
        drawn = self._sampler.draw(self._count, label, generator)
        return sampled_cross_entropy(features, trunk.output, label, drawn)


class _InBatch(SoftmaxLoss):
    def __init__(self, log_share: Tensor) -> None:
        self._log_share = log_share

    def __call__(self, features: Tensor, trunk: Trunk, label: Tensor, generator: torch.Generator) -> Tensor:
        return sampled_cross_entropy(features, trunk.output, label, in_batch(label, self._log_share))


@dataclass(frozen=True, kw_only=True)
class Cloze:
    """Which positions are hidden from a trunk that sees both sides."""

    share: Share  # of a window's items
    most: AtLeast1  # positions of a window
    masked: Share  # of the hidden ones: [MASK] stands there
    random: Share  # an item of any kind; else the item itself stays


class SourceLearner(Learner[Trunk]):
    """Steps for a fixed number of epochs. The trunk learns which items it knows; no other is ever guessed."""

    trains = Trunk

    def __init__(
        self,
        *,
        softmax: Softmax,
        cloze: Cloze,
        learning_rate: Positive,
        batch_size: AtLeast1,
        epochs: AtLeast1,
        min_count: AtLeast1,
        optimizer: OptimizerName,
    ) -> None:
        """`batch_size`: windows of the backbone's `longest` items. `min_count`: items that occur less often have no
        row of their own.
        """
        self.softmax = softmax
        self.cloze = cloze
        self.batch_size = batch_size
        self.epochs = epochs
        self.min_count = min_count
        self.adam = Made(lambda weights: optimizer_of(optimizer, weights, learning_rate=learning_rate))

    def fit(self, backbone: Trunk, lesson: Lesson, fit: Fit) -> None:
        batches, loss = self.prepare(backbone, lesson.rows(), fit)
        with training(backbone):
            fit(SourceLoss(backbone, self.adam.over(backbone), loss, fit.generator), batches, epochs=self.epochs)

    def renew(self) -> None:
        self.adam.renew()

    def prepare(self, backbone: Trunk, rows: Interactions, fit: Fit) -> tuple[Windows, SoftmaxLoss]:
        """Tell the trunk which source items it knows; the windows to learn from, and the loss of their guesses."""
        rows = rows.rows(backbone.item_space.cpu()[rows.item] == 0)
        counts = torch.bincount(rows.item, minlength=len(backbone.known)).to(fit.device)
        backbone.known.copy_(counts >= self.min_count)
        known = counts * backbone.known
        if not int(known.sum()):
            raise DataError(f"no item of the source occurs {self.min_count} times; lower method.pretraining.min_count")
        share = float(known.sum() / counts.sum())
        log.info(
            "the trunk knows %d of %d source items, %.1f %% of the rows; the rest is read as unknown (%.1f %%)",
            int((known > 0).sum()), int((counts > 0).sum()), 100 * share, 100 * (1 - share),
        )  # fmt: skip
        windows = windows_of(rows, backbone.longest, overlap=backbone.causal).to(fit.device)
        return Windows(backbone, windows, self.cloze, self.batch_size, fit.generator), self.softmax.over(known)


class SourceLoss(Objective[Guess]):
    """The loss of a batch of guesses."""

    def __init__(
        self, trunk: Trunk, optimizer: Optimizer | None, softmax: SoftmaxLoss, generator: torch.Generator
    ) -> None:
        super().__init__(optimizer)
        self.trunk = trunk
        self._softmax = softmax
        self._generator = generator

    def loss(self, batch: Guess) -> Tensor | None:
        if not len(batch.label):
            return None
        vectors = self.trunk.states(batch.tokens)[batch.at]
        return self._softmax(self.trunk.biased(vectors), self.trunk, batch.label, self._generator)


class Windows:
    """An epoch of windows in a fresh order, as guesses: the next item everywhere, or hidden items (cloze)."""

    def __init__(
        self, trunk: Trunk, windows: Prefixes, cloze: Cloze, batch_size: int, generator: torch.Generator
    ) -> None:
        self._trunk = trunk
        self._windows = windows
        self._cloze = cloze
        self._size = batch_size
        self._generator = generator

    def __len__(self) -> int:
        return -(-len(self._windows) // self._size)

    def __iter__(self) -> Iterator[Guess]:
        longest = self._trunk.longest + self._trunk.causal
        for part in torch.split(permutation(len(self._windows), self._generator), self._size):
            items = self._windows.at(part).histories(longest)
            yield next_items(self._trunk, items) if self._trunk.causal else self._hidden(items)

    def _hidden(self, items: Tensor) -> Guess:
        return hidden_items(self._trunk, items, self._cloze, self._generator)


def windows_of(rows: Interactions, longest: int, *, overlap: bool) -> Prefixes:
    """Each user's items cut into windows from the newest on, the oldest one short; each item is in one.

    `overlap`: one more item before each, as the input of its first label. Entry n is `items[start:stop]`.
    """
    ordered = by_user(rows)
    user, length = torch.unique_consecutive(ordered.user, return_counts=True)
    end = length.cumsum(0)
    begin = end - length
    steps = (length - int(overlap)).clamp(min=0)
    pieces = (steps + longest - 1) // longest
    owner = torch.repeat_interleave(pieces)
    nth = torch.arange(len(owner)) - (pieces.cumsum(0) - pieces)[owner]
    stop = end[owner] - nth * longest
    start = torch.maximum(begin[owner], stop - longest - int(overlap))
    return Prefixes(ordered.item, start, stop, user[owner])


def next_items(trunk: Trunk, items: Tensor) -> Guess:
    """Every known item from those before it.  # [B, T + 1]"""
    label = items[:, 1:]
    before = items[:, :-1]
    row, column = torch.nonzero((before >= 0) & (label >= 0) & trunk.known[label.clamp(min=0)], as_tuple=True)
    return Guess(trunk.tokens(before), (row, column), label[row, column])


def hidden_items(trunk: Trunk, items: Tensor, cloze: Cloze, generator: torch.Generator) -> Guess:
    """Some known items of each window, at least one, hidden by [MASK], by another item, or not.  # [B, T]"""
    open_ = (items >= 0) & trunk.known[items.clamp(min=0)]
    count = (cloze.share * (items >= 0).sum(1)).round().clamp(min=1, max=cloze.most)
    lots = torch.rand(items.shape, generator=generator, device=items.device).masked_fill(~open_, 2.0)
    chosen = open_ & (lots.argsort(1).argsort(1) < count.unsqueeze(1))
    row, column = torch.nonzero(chosen, as_tuple=True)
    how = torch.rand(len(row), generator=generator, device=items.device)
    known = torch.nonzero(trunk.known).squeeze(1)
    other = known[torch.randint(len(known), (len(row),), generator=generator, device=items.device)]
    tokens = trunk.tokens(items)
    shown = torch.where(how < cloze.masked + cloze.random, other, tokens[row, column])
    tokens[row, column] = torch.where(how < cloze.masked, trunk.tcl, shown)
    return Guess(tokens, (row, column), items[row, column])
