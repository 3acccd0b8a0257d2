"""A transfer that has been taught to give back its fresh input begins as fine-tuning does (sml.md, k)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recretrain.backbones.optimizers import DenseAdam
from recretrain.methods.base import Fit
from recretrain.methods.objective import Objective
from recretrain.values import AtLeast1, NotNegative, Positive

Pair = tuple[Tensor, Tensor]  # w, v: [R, d] each


@dataclass(frozen=True, kw_only=True)
class FreshStart:
    """Teaches f(w, v) = v by squared errors, before any lesson.

    w are rows of the warm-up's table, v the same with N(0, 1) noise, `noise` x the table's standard deviation. Adam,
    `steps` steps of `rows` rows, with random numbers of the fit.
    """

    steps: AtLeast1
    rows: AtLeast1
    noise: NotNegative
    learning_rate: Positive

    def __call__(self, transfer: nn.Module, table: Tensor, fit: Fit) -> None:
        """Teach a transfer on the rows of `table`, [N, d]."""
        pairs = _Pairs(table, self, fit.generator)
        adam = DenseAdam(list(transfer.parameters()), learning_rate=self.learning_rate)
        fit(_GivesFresh(transfer, adam), pairs, epochs=1)


class _Pairs:
    """An epoch of rows as served and made-up fresh ones."""

    def __init__(self, table: Tensor, settings: FreshStart, generator: torch.Generator) -> None:
        self._table = table
        self._settings = settings
        self._generator = generator

    def __len__(self) -> int:
        return self._settings.steps

    def __iter__(self) -> Iterator[Pair]:
        scale = self._settings.noise * self._table.std()
        for _ in range(len(self)):
            at = torch.randint(
                len(self._table), (self._settings.rows,), generator=self._generator, device=self._table.device
            )
            served = self._table[at]
            noise = torch.randn(served.shape, generator=self._generator, device=self._table.device)
            yield served, served + scale * noise


class _GivesFresh(Objective[Pair]):
    """The squared error of f(w, v) as an estimate of v."""

    def __init__(self, transfer: nn.Module, optimizer: DenseAdam) -> None:
        super().__init__(optimizer)
        self.transfer = transfer

    def loss(self, batch: Pair) -> Tensor:
        served, fresh = batch
        return F.mse_loss(self.transfer(served, fresh), fresh)
