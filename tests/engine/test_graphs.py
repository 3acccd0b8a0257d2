"""Steps from a recording must give what plain steps give. A recording that is repeated stands in for the GPU's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam, RowAdam, RowSGD, TensorFlowAdam
from recretrain.backbones.tables import TableGradient, is_kept_apart
from recretrain.data.batches import Batches
from recretrain.data.interactions import Interactions
from recretrain.data.negatives import NegativeSampler
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine import fitter
from recretrain.engine.fitter import Fitter
from recretrain.engine.graphs import GraphedStep, Work, graphed
from recretrain.methods.learners.log_loss import BPRLoss, LogLoss, PairLoss
from recretrain.methods.objective import Objective

CPU = torch.device("cpu")
USERS, ITEMS, ROWS, SIZE = 20, 30, 203, 5  # 41 batches, the last one of three rows


class Recorder:
    """As a CUDA graph: nothing is computed when it is made, and every repeat writes to the same memory."""

    def __init__(self) -> None:
        self.made = self.repeated = 0
        self.tables: list[torch.nn.Parameter] = []

    def __call__(self, work: Work) -> tuple[Callable[[], object], Tensor]:
        self.made += 1
        self.must_be_clear()
        result = torch.full((), torch.nan)

        def replay() -> None:
            self.repeated += 1
            result.copy_(work())
            self.must_be_clear()

        return replay, result

    def must_be_clear(self) -> None:
        """A repeat on a GPU clears the rows of its own batch: those of the step before are no longer known."""
        assert not any(table.grad is not None and table.grad.any() for table in self.tables)


def fitted(optimizer: type[Optimizer], loss: type[PairLoss], record: Recorder | None) -> tuple[list[Tensor], PairLoss]:
    """Weights, moments and losses after two fits of one optimiser."""
    numbers = torch.Generator().manual_seed(1)
    user, item = (torch.randint(ids, (ROWS,), generator=numbers) for ids in (USERS, ITEMS))
    batches = Batches(
        Interactions(user, item), NegativeSampler.within(user, item, ITEMS), batch_size=SIZE, generator=numbers
    )
    mf = MF(vocabulary=Vocabulary.of(n_users=USERS, n_items=ITEMS), embedding_size=4, init_std=0.1)
    mf.draw(numbers)
    if record is not None:
        record.tables = list(mf.parameters())
    moves = optimizer(list(mf.parameters()), learning_rate=0.01)
    losses: list[Tensor] = []
    for _ in range(2):
        objective = loss(mf, moves, reg=0.001)
        with graphed(objective, record) if record is not None else nullcontext():
            for _ in range(2):
                for batch in batches:
                    objective.training_step((batch,), 0)
                objective.on_train_epoch_end()
        losses += objective.epoch_losses()
    moments = [value for state in moves.state.values() for value in state.values() if isinstance(value, Tensor)]
    return [*(weight.detach() for weight in mf.parameters()), *moments, *losses], objective


@pytest.mark.parametrize("loss", [LogLoss, BPRLoss])
@pytest.mark.parametrize("optimizer", [DenseAdam, RowSGD])
def test_recorded_steps_give_the_same_bits_as_plain_ones(optimizer, loss) -> None:
    record = Recorder()

    plain, recorded = fitted(optimizer, loss, None)[0], fitted(optimizer, loss, record)[0]

    assert record.made == 2
    assert record.repeated == 2 * (2 * (ROWS // SIZE) - 16)  # the first steps and the short batch go their own way
    assert len(plain) == len(recorded)
    assert all(torch.equal(one, other) for one, other in zip(plain, recorded, strict=True))


@pytest.mark.parametrize("optimizer", [DenseAdam, RowSGD])
def test_a_recording_leaves_no_gradient_behind(optimizer) -> None:
    """Else a later fit over the same tables would learn from it, or leave its own apart."""
    _, objective = fitted(optimizer, LogLoss, Recorder())

    for table in objective.backbone.parameters():
        assert not is_kept_apart(table)
        if isinstance(table.grad, TableGradient):
            table.grad.clear()
        assert table.grad is None or not table.grad.any()
    assert objective.graphed is None


@pytest.mark.parametrize("optimizer", [RowAdam, TensorFlowAdam])
def test_steps_that_wait_for_numbers_are_not_recorded(optimizer) -> None:
    record = Recorder()

    assert fitted(optimizer, LogLoss, record)
    assert not record.made


class Drawing(LogLoss):
    """Asks for random numbers in its loss, which a recording would repeat."""

    replays = False


def test_an_objective_says_that_it_may_be_recorded() -> None:
    record = Recorder()

    fitted(DenseAdam, Drawing, record)

    assert not record.made
    assert not Objective.replays


def test_an_optimiser_may_be_recorded_while_it_is_and_not_after() -> None:
    weights = [torch.nn.Parameter(torch.zeros(3, 2))]
    adam = DenseAdam(weights, learning_rate=0.01)
    seen: list[bool] = []

    def record(work: Work) -> tuple[Callable[[], object], Tensor]:
        seen.append(adam.param_groups[0]["capturable"])
        return work, torch.zeros(())

    def step(batch: tuple[Tensor, ...]) -> Tensor:
        return torch.zeros(())

    graph = GraphedStep(step, adam, record=record)
    for _ in range(17):
        graph((torch.zeros(1),))

    assert seen == [True]
    assert adam.param_groups[0]["capturable"] is False


@pytest.mark.parametrize("asked", [True, False])
def test_the_fitter_records_on_a_gpu_where_it_is_asked_to(asked: bool, monkeypatch) -> None:
    used: list[object] = []

    class Seen:
        def __init__(self, objective: object) -> None:
            used.append(objective)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(fitter, "graphed", Seen)
    monkeypatch.setattr(Fitter, "_trainer", lambda self, epochs: Silent())
    objective = LogLoss(
        MF(vocabulary=Vocabulary.of(n_users=2, n_items=2), embedding_size=2, init_std=0.1), None, reg=0.0
    )

    for device in (torch.device("cuda", 0), CPU):
        Fitter(device, torch.Generator(), "32-true", graphs=asked)(objective, [], epochs=1)

    assert used == ([objective] if asked else [])


class Silent:
    """A trainer that does nothing."""

    def fit(self, *_: object, **__: object) -> None: ...
