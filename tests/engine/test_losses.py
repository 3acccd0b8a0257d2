"""Losses of every epoch are kept beside a task's rows, without a wait inside a fit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recretrain.engine.fitter import Fitter
from recretrain.engine.losses import Losses
from recretrain.engine.seeds import seed_task
from recretrain.methods.objective import Objective
from recretrain.methods.parts.early_stopping import EarlyStopping
from recretrain.testing import cases

CPU = torch.device("cpu")


class Plain(Objective[tuple[Tensor]]):
    """Its loss is the batch; every fourth one has none."""

    def __init__(self) -> None:
        weight = nn.Parameter(torch.zeros(()))
        super().__init__(torch.optim.SGD([weight], lr=0.0))
        self.weight = weight

    def loss(self, batch: tuple[Tensor]) -> Tensor | None:
        return None if int(batch[0]) % 4 == 0 else batch[0] + 0 * self.weight


def batches(*values: float) -> Any:
    return [(torch.tensor(value),) for value in values]


@pytest.fixture
def fit() -> Fitter:
    return Fitter(CPU, torch.Generator(), "32-true")


def kept(fit: Fitter) -> list[tuple[int, int, float, float | None]]:
    return [(loss.fit, loss.epoch, loss.loss, loss.held_out) for loss in fit.losses.all()]


def test_an_epoch_has_the_mean_of_the_batches_that_had_a_loss(fit: Fitter) -> None:
    """More batches than a bundle has; 4 of 1.0 to 18.0 have none."""
    fit(Plain(), batches(*range(1, 19)), epochs=2)

    mean = (sum(range(1, 19)) - 4 - 8 - 12 - 16) / 14
    assert kept(fit) == [(0, 1, pytest.approx(mean), None), (0, 2, pytest.approx(mean), None)]


def test_fits_are_counted_and_those_of_one_objective_go_on(fit: Fitter) -> None:
    first, second = Plain(), Plain()
    for objective in (first, first, second, first):
        fit(objective, batches(1.0), epochs=1)

    assert [(number, epoch) for number, epoch, _, _ in kept(fit)] == [(0, 1), (0, 2), (1, 1), (2, 1)]
    assert {loss.objective for loss in fit.losses.all()} == {"Plain"}


def test_what_held_out_data_say_stands_beside_the_epoch(fit: Fitter) -> None:
    objective, values = Plain(), iter([0.5, 0.75, 0.25])
    stopping = EarlyStopping(epochs=3, patience=1)

    stopping(
        objective,
        objective.configure_optimizers(),
        epoch=lambda: fit(objective, batches(2.0), epochs=1),
        measure=lambda: next(values),
        note=fit.measured,
    )

    assert kept(fit) == [(0, 1, 2.0, 0.5), (0, 2, 2.0, 0.75), (0, 3, 2.0, 0.25)]


def test_a_measure_without_a_fit_is_nobody_s(fit: Fitter) -> None:
    fit.measured(1.0)

    assert kept(fit) == []


def test_losses_stay_on_the_device_until_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    objective, losses = Plain(), Losses()
    objective.training_step((batches(1.0)[0], batches(3.0)[0]), 0)

    def waits(_: Tensor) -> float:
        raise AssertionError("a fit waited for its loss")

    with monkeypatch.context() as patched:
        patched.setattr(Tensor, "__float__", waits)
        patched.setattr(Tensor, "item", waits)
        objective.on_train_epoch_end()
        losses.fitted(objective)

    assert [loss.loss for loss in losses.all()] == [2.0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gru4rec", "peterrec", "catn", "deepconn"])
def test_every_learner_that_stops_early_notes_what_it_measured(name: str, fit: Fitter, tmp_path: Path) -> None:
    """A loss of the epoch and a value that is no negated error."""
    found = cases(name)[-1]
    stream = found.stream(tmp_path / "stream")
    task = found.tasks(stream)[-1]
    method = found.method(stream)
    for earlier in found.tasks(stream)[:-1]:
        method.update(earlier, Fitter(CPU, seed_task(0, earlier.index, CPU), "32-true"))

    method.update(task, fit)

    noted = [loss for loss in fit.losses.all() if loss.held_out is not None]
    assert noted
    assert all(math.isfinite(loss.loss) and loss.held_out >= 0 for loss in noted)
