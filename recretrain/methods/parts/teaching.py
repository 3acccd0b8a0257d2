"""Teaching a transfer: how its networks learn, by the loss of the rows that they would have served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.base import Backbone, frozen
from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.tables import Computed, standing_in
from recretrain.data.batches import Epoch
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson
from recretrain.methods.objective import Objective
from recretrain.methods.parts.transfer import Network, Transfer
from recretrain.methods.state import Made, Stateful
from recretrain.values import AtLeast0, AtLeast1, NotNegative, Positive

Tables = dict[str, Tensor]  # by name, such as {"user": [U, d], "item": [I, d]}


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What teaches the transfer, and until when.

    `by`: the period that followed the one fitted, or that one itself (SML-N); `until`: a period, from which on the
    transfer stays as it is (SML-S).
    """

    by: Literal["next", "same"]
    until: AtLeast0 | None

    def lesson(self, *, fitted: Lesson, following: Lesson) -> Lesson | None:
        """What is learned by; None where there is nothing any more."""
        if self.until is not None and following.period.index >= self.until:
            return None
        return following if self.by == "next" else fitted


class TransferTeaching(Stateful):
    """A network for each table of a backbone that has rows by id, and how they are taught."""

    def __init__(
        self,
        *,
        network: Network,
        epochs: AtLeast1,
        learning_rate: Positive,
        weight_decay: NotNegative,
        batch_size: AtLeast1,
        adam: Literal["carried", "new"],
        taught: Taught,
    ) -> None:
        """`adam`: its moments live for the whole run, as released, or begin anew with each period."""
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.new_adam = adam == "new"
        self.taught = taught
        self.adam = Made(lambda weights: DenseAdam(weights, learning_rate=learning_rate, weight_decay=weight_decay))
        self.nets = nn.ModuleDict()

    def make(self, backbone: Backbone) -> None:
        """Draw one network for each table of `backbone`."""
        sizes = {name: table.shape[1] for name, table in tables(backbone).items()}
        self.nets = nn.ModuleDict({name: self.network.made(size) for name, size in sizes.items()}).to(backbone.device)

    def begin(self, backbone: Backbone, fit: Fit) -> None:
        """Teach the networks what they are to know before the first lesson, by the fitted rows of `backbone`."""
        for name, table in tables(backbone).items():
            self.network.begin(self.net(name), table, fit)

    def net(self, table: str) -> Transfer:
        """The network of a table, by its name."""
        found = self.nets[table]
        assert isinstance(found, Transfer)
        return found

    def by_loss(
        self, loss: Objective[Any], batches: Epoch, backbone: Backbone, previous: Tables, fresh: Tables, fit: Fit
    ) -> None:
        """Teach the networks by a loss of `backbone`, with the rows that they would serve in place of its own."""
        objective = ServedLoss(loss, backbone, previous, fresh, self.nets, self.adam.over(self.nets))
        fit(objective, batches, epochs=self.epochs)


class Blend(Computed):
    """f(previous, fresh), of the rows that are read alone."""

    def __init__(self, net: nn.Module, previous: Tensor, fresh: Tensor) -> None:
        self.shape = fresh.shape
        self._net = net
        self._previous = previous
        self._fresh = fresh

    def rows(self, index: Tensor) -> Tensor:
        blended: Tensor = self._net(self._previous[index], self._fresh[index])
        return blended


class ServedLoss(Objective[Any]):
    """A loss of a backbone whose tables are blends: their networks alone learn, all other weights stay."""

    def __init__(
        self,
        of: Objective[Any],
        backbone: Backbone,
        previous: Mapping[str, Tensor],
        fresh: Mapping[str, Tensor],
        nets: nn.ModuleDict,
        optimizer: Optimizer | None,
    ) -> None:
        super().__init__(optimizer)
        self.nets = nets
        self._of = [of]  # in a list, as its weights are not this objective's
        self._backbone = [backbone]
        self._blends = {name: Blend(net, previous[name], fresh[name]) for name, net in nets.items()}

    @property
    def divides(self) -> bool:  # type: ignore[override]
        return self._of[0].divides

    def loss(self, batch: Any) -> Tensor | None:
        (of,), (backbone,) = self._of, self._backbone
        with frozen(backbone), standing_in(backbone, self._blends):
            return of.loss(batch)


def tables(backbone: Backbone) -> Tables:
    """The tables with a row for each id, by name; no copies."""
    held = backbone.state_dict()
    return {name: held[name] for name in backbone.by_id if name in held and held[name].dim() == 2}


def copy_tables(backbone: Backbone) -> Tables:
    """The same, as they are now."""
    return {name: table.clone() for name, table in tables(backbone).items()}


def copy_state(backbone: Backbone) -> Tables:
    """All weights as they are now, for `load_state_dict`."""
    return {name: weight.clone() for name, weight in backbone.state_dict().items()}


@torch.no_grad()
def put(rows: Tables, backbone: Backbone) -> None:
    """Overwrite the tables of `backbone`."""
    for name, table in tables(backbone).items():
        table.copy_(rows[name])
