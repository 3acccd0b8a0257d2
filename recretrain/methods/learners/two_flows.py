"""Two flows share one network: a step on ratings of source items, then one on ratings of target items (catn.md, d)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.catn import SOURCE, TARGET, AspectNet, Flow, Pairs
from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.data.batches import permutation
from recretrain.methods.base import Fit
from recretrain.methods.learners.next_item import training
from recretrain.methods.objective import Objective
from recretrain.methods.parts.early_stopping import EarlyStopping
from recretrain.values import AtLeast0, AtLeast1, NotNegative, Positive

log = logging.getLogger("recretrain")

Asked: TypeAlias = Callable[[Tensor], tuple[Pairs, Tensor]]  # places of some ratings -> what they are asked of, [B]
Step: TypeAlias = tuple[Flow, Tensor]  # places of ratings of the flow


@dataclass(frozen=True)
class FlowRows:
    """The ratings that a flow is fitted on."""

    user: Tensor  # [N] whose each is
    asked: Asked

    def __len__(self) -> int:
        return len(self.user)


@dataclass(frozen=True, kw_only=True)
class StepStopping:
    """When a fit ends: at the least squared error of held-out ratings, not before so many steps on each flow."""

    epochs: AtLeast1  # at most, unless `least_steps` are more
    patience: AtLeast1  # epochs in a row without a better one ...
    patience_steps: AtLeast0  # ... that have so many steps at least: few ratings make short epochs (catn.md, T14)
    least_steps: AtLeast0  # before anything ends: the start is a plateau (catn.md, T17)
    decimals: AtLeast1 | None  # to which errors are rounded before they are compared; null: none

    def over(self, steps: int) -> EarlyStopping:
        least = -(-self.least_steps // steps)
        patience = max(self.patience, -(-self.patience_steps // steps))
        return EarlyStopping(epochs=max(self.epochs, least), patience=patience, least=least)

    def rounded(self, error: float) -> float:
        return error if self.decimals is None else round(error, self.decimals)


class TwoFlows:
    """Adam, as TensorFlow has it, on both flows in turn; batches in proportion to their ratings."""

    def __init__(
        self,
        *,
        learning_rate: Positive,
        l2: NotNegative,
        batch_size: AtLeast1,
        batches: Literal["rows", "users"],
        stopping: StepStopping,
    ) -> None:
        """`batch_size`: ratings of both flows; `batches` of ratings in any order, or of users with all of theirs."""
        self.learning_rate = learning_rate
        self.l2 = l2
        self.batch_size = batch_size
        self.batches = batches
        self.stopping = stopping

    def fit(
        self, net: AspectNet, flows: Mapping[Flow, FlowRows], fit: Fit, *, measure: Callable[[], float]
    ) -> list[float]:
        """Fit to the ratings until `measure`, an error of held-out ones, no longer falls; returns its values."""
        adam = TwoFlowAdam([p for p in net.parameters() if p.requires_grad], learning_rate=self.learning_rate)
        batches = FlowBatches(flows, self.batch_size, by_user=self.batches == "users", generator=fit.generator)
        objective = FlowLoss(net, adam, {flow: rows.asked for flow, rows in flows.items()}, l2=self.l2)

        def epoch() -> None:
            with training(net):
                fit(objective, batches, epochs=1)

        def error() -> float:
            return -self.stopping.rounded(measure())

        stopping = self.stopping.over(batches.steps)
        found = stopping(net, adam, epoch=epoch, measure=error, note=lambda value: fit.measured(-value))
        return [-value for value in found]


class TwoFlowAdam(TensorFlowAdam):
    """A weight that only one flow has moves on in the other's step too: its gradient there is zero, not none."""

    def step(self, closure: Any = None) -> Any:
        for weight in itertools.chain.from_iterable(group["params"] for group in self.param_groups):
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return super().step(closure)


class FlowLoss(Objective[Step]):
    """Mean squared error of some ratings of one flow, and the penalty of all weights that have one."""

    def __init__(self, net: AspectNet, optimizer: Optimizer | None, flows: Mapping[Flow, Asked], *, l2: float) -> None:
        super().__init__(optimizer)
        self.net = net
        self._flows = flows
        self._l2 = l2

    def loss(self, batch: Step) -> Tensor:
        flow, places = batch
        pairs, rating = self._flows[flow](places)
        error = F.mse_loss(self.net.rate(flow, pairs), rating)
        return error + self._l2 * self.net.penalty()


class FlowBatches:
    """An epoch: a batch of the source's flow, then one of the target's, until all ratings were had.

    A batch is divided in proportion to the ratings of the flows, one at least of each: catn.md (d, T16).
    """

    def __init__(
        self, flows: Mapping[Flow, FlowRows], batch_size: int, *, by_user: bool, generator: torch.Generator
    ) -> None:
        self._flows = {flow: flows[flow] for flow in (SOURCE, TARGET) if flow in flows and len(flows[flow])}
        self._size = _shares({flow: len(rows) for flow, rows in self._flows.items()}, batch_size)
        self._by_user = by_user
        self._generator = generator
        self.steps = max(-(-len(rows) // self._size[flow]) for flow, rows in self._flows.items())  # on each flow

    def __len__(self) -> int:
        return sum(-(-len(rows) // self._size[flow]) for flow, rows in self._flows.items())

    def __iter__(self) -> Iterator[Step]:
        batches = {flow: torch.split(self._order(rows), self._size[flow]) for flow, rows in self._flows.items()}
        for step in range(self.steps):
            yield from ((flow, parts[step]) for flow, parts in batches.items() if step < len(parts))

    def _order(self, rows: FlowRows) -> Tensor:
        """Places in a fresh order; by user: users in a fresh order, each with all of his ratings."""
        if not self._by_user:
            return permutation(len(rows), self._generator)
        _, owner = torch.unique(rows.user, return_inverse=True)
        place = permutation(int(owner.max()) + 1, self._generator)
        return torch.argsort(place[owner], stable=True)


def _shares(ratings: Mapping[Flow, int], batch_size: int) -> dict[Flow, int]:
    """The ratings of each flow in a batch: the first one's share is rounded up, as released."""
    total, left, found = sum(ratings.values()), batch_size, {}
    for place, (flow, count) in enumerate(ratings.items()):
        found[flow] = max(1, left if place == len(ratings) - 1 else min(left, -(-batch_size * count // total)))
        left -= found[flow]
    return found
