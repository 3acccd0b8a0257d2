"""The course of a task's fits: the mean loss of every epoch, and what was measured on held-out data after it."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from recretrain.methods.objective import Objective
from recretrain.records import Loss


class Losses:
    """Losses stay tensors until they are asked for: a fit never waits for a device."""

    def __init__(self) -> None:
        self._kept: list[tuple[Loss, Tensor]] = []
        self._last: Objective[tuple[Tensor, ...]] | None = None

    def fitted(self, objective: Objective[tuple[Tensor, ...]]) -> None:
        """Note the epochs of a fit; one of the objective that was fitted last goes on with that."""
        before = self._kept[-1][0] if self._kept else None
        number, epoch = (0, 0) if before is None else (before.fit + 1, 0)
        if before is not None and objective is self._last:
            number, epoch = before.fit, before.epoch
        for mean in objective.epoch_losses():
            epoch += 1
            self._kept.append((Loss(number, type(objective).__name__, epoch, 0.0, None), mean))
        self._last = objective

    def measured(self, value: float) -> None:
        """Note what was measured after the last epoch."""
        if self._kept:
            loss, mean = self._kept[-1]
            self._kept[-1] = replace(loss, held_out=value), mean

    def all(self) -> list[Loss]:
        return [replace(loss, loss=float(mean)) for loss, mean in self._kept]
