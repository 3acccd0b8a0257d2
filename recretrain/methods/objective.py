"""An objective is one loss and its optimiser, as a LightningModule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from recretrain.data.batches import part_of

Batch = TypeVar("Batch")  # a tuple of tensors


class Peers(Protocol):
    """The processes that learn every batch together, as one of them sees them."""

    rank: int
    count: int

    def add_up(self, optimizer: Optimizer) -> None:
        """Give each of the optimiser's weights the sum of the gradients that the processes have of it."""

    def summed(self, value: Tensor) -> Tensor:
        """The sum over the processes."""


class Objective(LightningModule, ABC, Generic[Batch]):
    """Subclasses say `loss(batch)`; a step is zero, backward, step, for each batch of a bundle.

    Lightning's own work on a step can cost as much as a batch, so it is given some batches at a time. Its hooks are
    called once a bundle; set `bundle = 1` to be called for every batch, or derive from LightningModule itself, which
    `Fit` takes too.
    """

    bundle: ClassVar[int] = 16  # batches to one step of Lightning
    divides: ClassVar[bool] = False  # whether processes may learn parts of a batch: its loss is the mean of its rows'
    replays: ClassVar[bool] = False  # whether its steps wait for no number from the device and draw none
    share = 1.0  # of a batch's rows, those that `loss` is given; a sum over rows is to be divided by it
    peers: Peers | None = None  # None: this process learns whole batches
    graphed: Callable[[Batch], Tensor | None] | None = None  # learns a batch in place of `step`, and gives the same

    def __init__(self, optimizer: Optimizer | None) -> None:
        """`optimizer` belongs to the caller: its moments live as long as the caller wants (None: for loss alone)."""
        super().__init__()
        self.automatic_optimization = False
        self._optimizer = optimizer
        self._epoch = _Mean()
        self._epoch_losses: list[Tensor] = []

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor | None:
        """The loss of one batch; None: no step is taken for it.  # -> []"""

    def part(self, batch: Batch, rank: int, ranks: int) -> Batch | None:
        """The rows of a batch that process `rank` of `ranks` learns; the first one has all of a very short batch."""
        if len(batch[0]) < ranks:  # type: ignore[index]
            return None if rank else batch
        return part_of(batch, rank, ranks)

    def training_step(self, bundle: tuple[Batch, ...], index: int) -> None:
        for batch in bundle:
            loss = self.step(batch) if self.graphed is None else self.graphed(batch)
            if loss is not None:
                self._epoch.add(loss)

    def step(self, batch: Batch) -> Tensor | None:
        """Learn a batch: clear the gradients, compute them, move the weights; gives the loss.  # -> []"""
        assert self._optimizer is not None
        loss = self.loss(batch) if self.peers is None else self._loss_of_part(batch, self.peers)
        if loss is None:
            return None
        self._optimizer.zero_grad()
        with torch.autocast(loss.device.type, enabled=False):  # under mixed precision the forward alone is mixed
            loss.backward()  # type: ignore[no-untyped-call]
        if self.peers is not None:
            self.peers.add_up(self._optimizer)
        self._optimizer.step()
        return loss.detach()

    def _loss_of_part(self, batch: Batch, peers: Peers) -> Tensor | None:
        """What this process adds to the loss of the batch."""
        part = self.part(batch, peers.rank, peers.count)
        if part is None:
            return torch.zeros((), device=self.device, requires_grad=True)
        self.share = len(part[0]) / len(batch[0])  # type: ignore[index]
        loss = self.loss(part)
        return None if loss is None else loss * self.share

    def on_train_epoch_end(self) -> None:
        mean = self._epoch.taken()
        self._epoch_losses.append(mean if self.peers is None else self.peers.summed(mean))

    def epoch_losses(self) -> list[Tensor]:
        """The mean loss of each epoch since this was asked last, on the device of the fit.  # [] each"""
        found, self._epoch_losses = self._epoch_losses, []
        return found

    def configure_optimizers(self) -> Any:
        return self._optimizer


class _Mean:
    """A sum on the device, and how many it is of: no batch waits for its loss."""

    def __init__(self) -> None:
        self._sum, self._count = torch.tensor(torch.nan), 0

    def add(self, loss: Tensor) -> None:
        self._sum = self._sum + loss if self._count else loss
        self._count += 1

    def taken(self) -> Tensor:
        """The mean, NaN of nothing; begins anew."""
        mean = self._sum / self._count if self._count else torch.tensor(torch.nan)
        self._sum, self._count = mean, 0
        return mean
