"""An objective is one loss and its optimiser, as a LightningModule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

Batch = TypeVar("Batch")  # a tuple of tensors


class Objective(LightningModule, ABC, Generic[Batch]):
    """Subclasses say `loss(batch)`; a step is zero, backward, step, for each batch of a bundle.

    Lightning's own work on a step can cost as much as a batch, so it is given some batches at a time. Its hooks are
    called once a bundle; set `bundle = 1` to be called for every batch, or derive from LightningModule itself, which
    `Fit` takes too.
    """

    bundle: ClassVar[int] = 16  # batches to one step of Lightning

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

    def training_step(self, bundle: tuple[Batch, ...], index: int) -> None:
        assert self._optimizer is not None
        for batch in bundle:
            loss = self.loss(batch)
            if loss is None:
                continue
            self._epoch.add(loss.detach())
            self._optimizer.zero_grad()
            with torch.autocast(loss.device.type, enabled=False):  # under mixed precision the forward alone is mixed
                loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()

    def on_train_epoch_end(self) -> None:
        self._epoch_losses.append(self._epoch.taken())

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
