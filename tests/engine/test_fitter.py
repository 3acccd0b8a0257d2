"""Bundling batches into one step of Lightning must change nothing but the time."""

from __future__ import annotations

import signal
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam
from recretrain.data.batches import Batches, Triples
from recretrain.data.interactions import Interactions
from recretrain.data.negatives import NegativeSampler
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.methods.learners.log_loss import LogLoss
from recretrain.methods.objective import Objective

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

    def fit(self, objective: Any = LogLoss, precision: str = "32-true") -> dict[str, Tensor]:
        fitter = Fitter(CPU, self.generator, precision)
        fitter(objective(self.mf, self.adam, reg=0.001), self.batches, epochs=2)
        return {**self.mf.state_dict(), "drawn": self.generator.get_state()}


class Batchwise(LogLoss):
    """A step of Lightning for every batch."""

    bundle = 1


class Whole(pl.LightningModule):
    """Somebody else's objective: Lightning zeroes, goes backward and steps."""

    def __init__(self, mf: MF, adam: Optimizer, *, reg: float) -> None:
        super().__init__()
        self.own = LogLoss(mf, None, reg=reg)
        self._adam = adam

    def training_step(self, batch: Triples, batch_index: int) -> Any:
        return self.own.loss(batch)

    def configure_optimizers(self) -> Any:
        return self._adam


class Hooked(Whole):
    """Counts the batches that Lightning reports to it."""

    counted = 0

    def on_train_batch_end(self, *args: object) -> None:
        type(self).counted += 1


class Logging(Whole):
    def training_step(self, batch: Triples, batch_index: int) -> Any:
        loss = super().training_step(batch, batch_index)
        self.log("loss", loss)
        return loss


class Named(Whole):
    def training_step(self, batch: Triples, batch_index: int) -> Any:
        return {"loss": super().training_step(batch, batch_index)}


class WithASchedule(Whole):
    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.ConstantLR(optimizer, factor=0.0)]


class Skipping(LogLoss):
    """Every second batch of an epoch (and a last one) has nothing to learn from."""

    def __init__(self, mf: MF, adam: Optimizer | None, *, reg: float) -> None:
        super().__init__(mf, adam, reg=reg)
        self.seen = 0

    def loss(self, batch: Triples) -> Tensor | None:  # type: ignore[override]
        self.seen += 1
        return super().loss(batch) if self.seen % 2 else None


def loop_by_hand(run: Run, *, every: int = 1) -> dict[str, Tensor]:
    """Two epochs of zero, backward, step; of every batch, or of one in `every`."""
    objective = LogLoss(run.mf, None, reg=0.001)
    batches = [batch for _ in range(2) for batch in run.batches]
    for batch in batches[::every]:
        loss = objective.loss(batch)
        run.adam.zero_grad()
        loss.backward()
        run.adam.step()
    return {**run.mf.state_dict(), "drawn": run.generator.get_state()}


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("objective", [LogLoss, Batchwise, Whole, Hooked, Logging, Named])
def test_a_fit_takes_the_steps_of_a_loop_written_by_hand(objective: Any) -> None:
    assert equal(Run().fit(objective), loop_by_hand(Run()))


def test_a_batch_without_a_loss_is_no_step() -> None:
    run = Run()

    found = run.fit(Skipping)

    assert equal(found, loop_by_hand(Run(), every=2))
    assert not equal(found, loop_by_hand(Run()))
    assert {int(state["step"]) for state in run.adam.state.values()} == {41}  # of 82 batches


def test_every_batch_is_reported_to_a_module_with_hooks() -> None:
    Hooked.counted = 0

    Run().fit(Hooked)

    assert Hooked.counted == 2 * 41


def test_a_learning_rate_schedule_is_followed() -> None:
    before = {name: table.clone() for name, table in Run().mf.state_dict().items()}

    after = Run().fit(WithASchedule)

    assert all(torch.equal(after[name], table) for name, table in before.items())


@pytest.mark.parametrize(("objective", "steps"), [(LogLoss, 2 * 3), (Batchwise, 2 * 41), (Whole, 2 * 41)])
def test_lightning_steps_once_a_bundle(objective: Any, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers = []
    fit = pl.Trainer.fit
    monkeypatch.setattr(pl.Trainer, "fit", lambda trainer, *a, **k: (fit(trainer, *a, **k), trainers.append(trainer)))

    Run().fit(objective)

    assert trainers[0].fit_loop.epoch_loop.batch_progress.total.completed == steps


class Regression(Objective[tuple[Tensor, Tensor]]):
    def __init__(self, model: torch.nn.Module, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self.model = model

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        given, wanted = batch
        return (self.model(given).float() - wanted).pow(2).mean()


def regression(precision: str, *, by_hand: bool = False) -> Tensor:
    """The weight after two epochs of ten batches."""
    numbers = torch.Generator().manual_seed(2)
    given, wanted = torch.randn(40, 8, generator=numbers), torch.randn(40, 1, generator=numbers)
    model = torch.nn.Linear(8, 1)
    model.load_state_dict({"weight": torch.ones(1, 8), "bias": torch.zeros(1)})
    objective = Regression(model, torch.optim.SGD(model.parameters(), lr=0.1))
    batches = list(zip(given.split(4), wanted.split(4), strict=True))
    if not by_hand:
        Fitter(CPU, numbers, precision)(objective, batches, epochs=2)
        return model.weight.detach()
    for batch in batches * 2:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"):
            loss = objective.loss(batch)
        objective.configure_optimizers().zero_grad()
        loss.backward()
        objective.configure_optimizers().step()
    return model.weight.detach()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_precision_is_that_of_a_loop_written_by_hand(precision: str) -> None:
    assert torch.equal(regression(precision), regression(precision, by_hand=True))


def test_mixed_precision_makes_a_difference() -> None:
    assert not torch.equal(regression("32-true"), regression("bf16-mixed"))


def test_a_fit_of_no_epochs_is_a_mistake_of_the_method() -> None:
    run = Run()

    with pytest.raises(ValueError, match="LogLoss: a fit of 0 epochs learns nothing"):
        Fitter(CPU, run.generator, "32-true")(LogLoss(run.mf, run.adam, reg=0.0), run.batches, epochs=0)


def test_without_shared_weights_once_trains_every_time() -> None:
    run, trained = Run(), []
    fitter = Fitter(CPU, run.generator, "32-true")

    for _ in range(2):
        fitter.once("pretraining", run.mf, lambda: trained.append(1))

    assert trained == [1, 1]


def test_lightning_handles_no_signals_under_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take SIGTERM for nothing, and send the job to the queue again."""
    for name, value in {
        "SLURM_NTASKS": "1",
        "SLURM_JOB_NAME": "run",
        "SLURM_JOB_ID": "7",
        "SLURM_NTASKS_PER_NODE": "1",
    }.items():
        monkeypatch.setenv(name, value)
    seen = []

    class Looking(LogLoss):
        def loss(self, batch: Triples) -> Tensor:
            seen.append(signal.getsignal(signal.SIGUSR1))
            return super().loss(batch)

    Run().fit(Looking)

    assert set(seen) == {signal.SIG_DFL}
