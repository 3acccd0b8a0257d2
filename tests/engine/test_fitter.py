"""Bundling batches into one step of Lightning must change nothing but the time."""

from __future__ import annotations

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from recretrain.backbones.mf import MF
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Batches
from recretrain.data.negatives import NegativeSampler
from recretrain.data.stream import Interactions
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.methods.objectives import LogLoss

USERS, ITEMS, ROWS = 20, 30, 203  # 41 batches of 5: more than two bundles, the last batch short
CPU = torch.device("cpu")


class Run:
    """A model, its optimiser and its batches, the same whenever made."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(1)
        user = torch.randint(USERS, (ROWS,), generator=self.generator)
        item = torch.randint(ITEMS, (ROWS,), generator=self.generator)
        sampler = NegativeSampler.within(user, item, ITEMS)
        self.batches = Batches(Interactions(user, item), sampler, batch_size=5, generator=self.generator)
        self.mf = MF(vocabulary=Vocabulary.of(n_users=USERS, n_items=ITEMS), embedding_size=4, init_std=0.1)
        self.mf.draw(self.generator)
        self.adam = DenseAdam(list(self.mf.parameters()), learning_rate=0.01)

    def fit(self, objective: type[LogLoss] = LogLoss, precision: str = "32-true") -> dict[str, Tensor]:
        fitter = Fitter(CPU, self.generator, precision)
        fitter(objective(self.mf, self.adam, reg=0.001), self.batches, epochs=2)
        return {**self.mf.state_dict(), "drawn": self.generator.get_state()}


class Hooked(LogLoss):
    """Counts what Lightning tells it, so it must be stepped by Lightning itself."""

    told = 0

    def on_train_batch_end(self, *args: object) -> None:
        type(self).told += 1


class Logging(LogLoss):
    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_index: int) -> Tensor:
        loss = super().training_step(batch, batch_index)
        self.log("loss", loss)
        return loss


class Named(LogLoss):
    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_index: int) -> dict[str, Tensor]:  # type: ignore[override]
        return {"loss": super().training_step(batch, batch_index)}


class WithASchedule(LogLoss):
    def configure_optimizers(self) -> tuple[list, list]:  # type: ignore[override]
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.0)]


def loop_by_hand(run: Run) -> dict[str, Tensor]:
    objective = LogLoss(run.mf, run.adam, reg=0.001)
    for _ in range(2):
        for index, batch in enumerate(run.batches):
            loss = objective.training_step(batch, index)
            run.adam.zero_grad()
            loss.backward()
            run.adam.step()
    return {**run.mf.state_dict(), "drawn": run.generator.get_state()}


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("objective", [LogLoss, Hooked, Logging, Named])
def test_a_fit_takes_the_steps_of_a_loop_written_by_hand(objective: type[LogLoss]) -> None:
    assert equal(Run().fit(objective), loop_by_hand(Run()))


def test_every_batch_is_told_to_an_objective_with_hooks() -> None:
    Hooked.told = 0

    Run().fit(Hooked)

    assert Hooked.told == 2 * 41


def test_a_learning_rate_schedule_is_followed() -> None:
    before = {name: table.clone() for name, table in Run().mf.state_dict().items()}

    after = Run().fit(WithASchedule)

    assert all(torch.equal(after[name], table) for name, table in before.items())


@pytest.mark.parametrize(("precision", "steps"), [("32-true", 2 * 3), ("bf16-mixed", 2 * 41)])
def test_lightning_steps_once_a_bundle_unless_precision_needs_it(
    precision: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainers = []
    fit = pl.Trainer.fit
    monkeypatch.setattr(pl.Trainer, "fit", lambda trainer, *a, **k: (fit(trainer, *a, **k), trainers.append(trainer)))

    Run().fit(precision=precision)

    assert trainers[0].fit_loop.epoch_loop.batch_progress.total.completed == steps
