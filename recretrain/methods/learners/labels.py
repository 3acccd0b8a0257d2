"""Labels of a downstream task from its users' histories, until held-out labels say stop (peterrec.md, e, g)."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.backbones.trunk import Readout
from recretrain.data.batches import Columns, permutation
from recretrain.data.kinds import Histories, TestSet
from recretrain.data.stream import Period
from recretrain.errors import DataError
from recretrain.methods.base import Fit
from recretrain.methods.objective import Objective
from recretrain.methods.parts.early_stopping import EarlyStopping
from recretrain.values import AtLeast0, AtLeast1, NotEmpty, NotNegative, Part, Positive

log = logging.getLogger("recretrain")

LossName: TypeAlias = Literal["bpr", "softmax", "pointwise"]
Beside: TypeAlias = Callable[[], Tensor]  # another loss of the same step -> []

_CHUNK = 512  # histories computed together where nothing is learned


class LabelNet(nn.Module, ABC):
    """Scores labels of one task by a user's history; some of its weights are the task's own."""

    names: frozenset[str]  # of the weights that the task tunes
    fixed: bool  # the features depend on nothing that is tuned

    @abstractmethod
    def features(self, history: Tensor) -> Tensor:
        """All that a score needs of a history.  # [B, T] -> [B, f]"""

    @abstractmethod
    def scores(self, features: Tensor, labels: Tensor) -> Tensor:
        """Scores of these labels, the same for all or each one's own.  # [B, f], [n] or [B, n] ids -> [B, n]"""

    @abstractmethod
    def penalty(self) -> Tensor:
        """Half the sum of squares of the labels' rows.  # -> []"""

    def tuned(self) -> dict[str, nn.Parameter]:
        """The weights that the task tunes, by name."""
        return {name: weight for name, weight in self.named_parameters() if name in self.names}


@dataclass(frozen=True, kw_only=True)
class LabelLoss:
    """The loss of a task's labels: one for items, one for classes (peterrec.md, e)."""

    items: (
        LossName  # bpr: -log sigmoid(own - other) | softmax: over all labels | pointwise: own and other by themselves
    )
    classes: LossName
    at_most: AtLeast1  # so many labels are told as classes
    l2: NotNegative  # x half the squares of all labels' rows, at every step

    def of(self, labels: int) -> LossName:
        return self.classes if labels <= self.at_most else self.items


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When a fit ends: at the best loss of held-out labels."""

    epochs: AtLeast1  # at most
    patience: AtLeast1  # epochs in a row without a lower loss
    least_steps: AtLeast0  # before anything ends: a random network may stand still for long
    validation: Part  # share of the labels held out where the data have no part `valid`

    def over(self, steps: int) -> EarlyStopping:
        least = -(-self.least_steps // steps)
        return EarlyStopping(epochs=max(self.epochs, least), patience=self.patience, least=least)


class Fitted(NamedTuple):
    """What came of a fit: of the learning rate with the lowest loss of held-out labels."""

    learning_rate: float
    losses: Sequence[float]  # of held-out labels, after each epoch
    steps: int


@dataclass(frozen=True)
class Labelled:
    """Labels with the histories of their users; `features` in place of histories where these are fixed."""

    history: Tensor  # [N, T]
    user: Tensor  # [N]
    label: Tensor  # [N] ids
    others: Tensor  # [N, C] ids of labels to compare with; [N, 0] where there are none
    features: Tensor | None = None  # [N, f]

    def __len__(self) -> int:
        return len(self.label)

    def at(self, index: Tensor) -> Labelled:
        kept = None if self.features is None else self.features[index]
        return Labelled(self.history[index], self.user[index], self.label[index], self.others[index], kept)


class LabelLearner:
    """Adam on a task's labels; of several learning rates the one with the lowest loss of held-out labels is kept."""

    learns_from = Histories

    def __init__(
        self,
        *,
        readout: Readout,
        loss: LabelLoss,
        learning_rates: Annotated[Sequence[Positive], NotEmpty()],
        batch_size: AtLeast1,
        batches: Literal["rows", "users"],
        stopping: Stopping,
    ) -> None:
        """`readout`: how a trunk sums up a history. `batches` of labels in any order, or of users with all of
        theirs.
        """
        self.readout = readout
        self.loss = loss
        self.learning_rates = list(learning_rates)
        self.batch_size = batch_size
        self.batches = batches
        self.stopping = stopping

    def fit(self, net: LabelNet, period: Period, fit: Fit, beside: Beside | None = None) -> Fitted:
        """Fit what the network tunes to the labels of the period. `beside`: a loss to be added at every step."""
        train, valid, pool = self._parts(period, fit)
        name = self.loss.of(len(pool))
        if net.fixed:
            train, valid = (with_features(net, part) for part in (train, valid))
        tuned = nn.ParameterDict({key.replace(".", "/"): weight for key, weight in net.tuned().items()})
        begin = {key: weight.detach().clone() for key, weight in tuned.items()}
        best: Fitted | None = None
        kept: Mapping[str, Tensor] = begin
        for rate in self.learning_rates:
            _set(tuned, begin)
            found = self._one(net, tuned, train, valid, LossOf(name, pool, self.loss.l2), rate, fit, beside)
            if best is None or min(found.losses) < min(best.losses):
                best, kept = found, {key: weight.detach().clone() for key, weight in tuned.items()}
        _set(tuned, kept)
        assert best is not None
        log.info(
            "%s: held-out loss %.4f after %d epochs at learning rate %g (n=%d)",
            period.name, min(best.losses), best.losses.index(min(best.losses)) + 1, best.learning_rate, len(valid),
        )  # fmt: skip
        return best

    def _one(
        self,
        net: LabelNet,
        tuned: nn.ParameterDict,
        train: Labelled,
        valid: Labelled,
        loss: LossOf,
        rate: float,
        fit: Fit,
        beside: Beside | None,
    ) -> Fitted:
        """Fit with one learning rate; leaves the best weights in the network."""
        optimizer = TensorFlowAdam(list(tuned.values()), learning_rate=rate)
        objective = LabelObjective(net, optimizer, train, loss, fit.generator, beside)
        data = self._batches(train, fit.generator)
        stopping = self.stopping.over(len(data))
        measured = stopping(
            tuned,
            optimizer,
            epoch=lambda: fit(objective, data, epochs=1),
            measure=lambda: -held_out_loss(net, valid, loss),
            note=lambda value: fit.measured(-value),
        )
        return Fitted(rate, [-value for value in measured], len(measured) * len(data))

    def _batches(self, train: Labelled, generator: torch.Generator) -> Columns | UserBatches:
        if self.batches == "users":
            return UserBatches(train.user, self.batch_size, generator)
        index = torch.arange(len(train), device=train.user.device)
        return Columns([index], batch_size=self.batch_size, generator=generator)

    def _parts(self, period: Period, fit: Fit) -> tuple[Labelled, Labelled, Tensor]:
        """Divide the labels into those to learn and those held out, beside all to choose from.  # ..., [I] ids"""
        asked, held_out = period.questions, period.valid
        assert isinstance(asked, Histories)
        if not len(asked):
            raise DataError(f"period {period.name} has no labels to learn from")
        pool, train = _pool(asked, held_out).to(fit.device), _labelled(asked, fit.device)
        if held_out is not None and len(held_out):
            assert isinstance(held_out, Histories)
            return train, _with_others(_labelled(held_out, fit.device), pool, fit.generator), pool
        order = permutation(len(train), fit.generator)
        first = max(1, round(self.stopping.validation * len(train)))
        valid = train.at(order[:first])
        rest = train.at(order[first:]) if len(train) > first else valid
        return rest, _with_others(valid, pool, fit.generator), pool


@dataclass(frozen=True)
class LossOf:
    """A loss over the labels of a task."""

    name: LossName
    pool: Tensor  # [I] ids of the labels, ascending
    l2: float

    def __call__(self, net: LabelNet, features: Tensor, label: Tensor, others: Tensor) -> Tensor:
        """The mean over these labels; `others` are compared with each, unless it is a soft-max.  # [B, C] -> []"""
        if self.name == "softmax":
            return F.cross_entropy(net.scores(features, self.pool), torch.searchsorted(self.pool, label))
        scores = net.scores(features, torch.cat([label.unsqueeze(1), others], 1))
        own, other = scores[:, :1], scores[:, 1:]
        if self.name == "bpr":
            return F.softplus(other - own).mean()
        loss: Tensor = F.softplus(-own).mean() + F.softplus(other).mean()
        return loss

    def drawn(self, label: Tensor, generator: torch.Generator) -> Tensor:
        """Another label for each, uniform over all but its own, if the loss needs one.  # [B] -> [B, 1 or 0]"""
        if self.name == "softmax":
            return label.new_empty(len(label), 0)
        return _others(label, self.pool, 1, generator)


class LabelObjective(Objective[tuple[Tensor]]):
    """The loss of some labels, by their places among those that are learned."""

    def __init__(
        self,
        net: LabelNet,
        optimizer: Optimizer | None,
        data: Labelled,
        loss: LossOf,
        generator: torch.Generator,
        beside: Beside | None,
    ) -> None:
        super().__init__(optimizer)
        self.net = net
        self._data = data
        self._loss = loss
        self._generator = generator
        self._beside = beside

    def loss(self, batch: tuple[Tensor]) -> Tensor:
        rows = self._data.at(batch[0])
        loss = self._loss(
            self.net, features_of(self.net, rows), rows.label, self._loss.drawn(rows.label, self._generator)
        )
        if self._loss.l2:
            loss = loss + self._loss.l2 * self.net.penalty()
        return loss if self._beside is None else loss + self._beside()


class UserBatches:
    """An epoch of users in a fresh order, each with all of its labels, cut where a batch is full."""

    def __init__(self, user: Tensor, batch_size: int, generator: torch.Generator) -> None:
        """`user`: [N] whose each label is."""
        self._order = torch.argsort(user, stable=True)
        _, self._count = torch.unique_consecutive(user[self._order], return_counts=True)
        self._size = batch_size
        self._generator = generator

    def __len__(self) -> int:
        return -(-len(self._order) // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor]]:
        end = self._count.cumsum(0)
        users = permutation(len(self._count), self._generator)
        length = self._count[users]
        first = torch.repeat_interleave((end - self._count)[users], length)
        within = torch.arange(len(first), device=first.device)
        within = within - torch.repeat_interleave(length.cumsum(0) - length, length)
        yield from ((part,) for part in torch.split(self._order[first + within], self._size))


def features_of(net: LabelNet, rows: Labelled) -> Tensor:
    """The features of each label's user, whose history is computed once however many labels it has.  # [B, f]"""
    if rows.features is not None:
        return rows.features
    return by_history(net.features, rows.history, rows.user)


def by_history(features: Callable[[Tensor], Tensor], history: Tensor, user: Tensor) -> Tensor:
    """Features of histories, once for all neighbouring rows of a user that have the same.  # [B, T], [B] -> [B, f]"""
    _, owner, count = torch.unique(user, return_inverse=True, return_counts=True)
    if len(count) == len(user):
        return features(history.long())
    first = torch.argsort(owner, stable=True)[count.cumsum(0) - count]
    if not torch.equal(history[first][owner], history):  # the prefixes of a session differ
        return features(history.long())
    return features(history[first].long())[owner]


@torch.no_grad()
def with_features(net: LabelNet, rows: Labelled) -> Labelled:
    """The same labels with their features: where these are fixed, an epoch needs no more."""
    parts = [features_of(net, rows.at(part)) for part in _chunks(rows)]
    return Labelled(rows.history[:, :0], rows.user, rows.label, rows.others, torch.cat(parts))


@torch.no_grad()
def held_out_loss(net: LabelNet, rows: Labelled, loss: LossOf) -> float:
    """The mean loss of held-out labels, without the penalty."""
    total = 0.0
    for part in _chunks(rows):
        some = rows.at(part)
        total += float(loss(net, features_of(net, some), some.label, some.others)) * len(some)
    return total / len(rows)


def _chunks(rows: Labelled) -> Sequence[Tensor]:
    return torch.split(torch.arange(len(rows), device=rows.user.device), _CHUNK)


def _labelled(asked: Histories, device: torch.device) -> Labelled:
    others = asked.labels.new_empty(len(asked), 0) if asked.candidates is None else asked.candidates[:]
    columns = (asked.history, asked.user, asked.labels, others)
    return Labelled(*(column.to(device) for column in columns))


def _with_others(rows: Labelled, pool: Tensor, generator: torch.Generator) -> Labelled:
    """The same with labels to compare with, drawn once where the questions bring none."""
    if rows.others.shape[1]:
        return Labelled(rows.history, rows.user, rows.label, rows.others.long())
    return Labelled(rows.history, rows.user, rows.label, _others(rows.label, pool, 20, generator))


def _others(label: Tensor, pool: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Labels of the pool other than each one's own, uniformly and with replacement.  # [B], [I] -> [B, count]"""
    own = torch.searchsorted(pool, label).unsqueeze(1)
    shape = (len(label), count)
    drawn = torch.randint(max(1, len(pool) - 1), shape, generator=generator, device=label.device)
    return pool[(drawn + (drawn >= own)).clamp(max=len(pool) - 1)]


def _pool(asked: Histories, held_out: TestSet | None) -> Tensor:
    """The labels to choose from: all that are known, or those that the questions name.  # [I] ids, ascending"""
    if asked.catalogue is not None:
        return asked.catalogue
    named = [asked.labels, *([] if asked.candidates is None else [asked.candidates[:].flatten().long()])]
    named += [] if held_out is None else [held_out.labels]
    labels: Tensor = torch.unique(torch.cat(named))
    return labels


def _set(tuned: nn.ParameterDict, values: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for key, weight in tuned.items():
            weight.copy_(values[key])
