"""Processes that share every batch learn what one process learns, to rounding, and all of them the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recretrain.backbones.ader_sasrec import AderSASRec
from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam, OptimizerName, optimizer_of
from recretrain.backbones.softmax import cross_entropy
from recretrain.backbones.tables import TableGradient, take
from recretrain.data.batches import Batches, part_of
from recretrain.data.interactions import Interactions
from recretrain.data.negatives import NegativeSampler
from recretrain.data.prefixes import prefixes_of
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.engine.peers import Peers
from recretrain.engine.pretrained import Pretrained
from recretrain.errors import ConfigError
from recretrain.methods.ader import exemplar_stream, replayed
from recretrain.methods.learners.log_loss import LogLoss
from recretrain.methods.learners.next_item import NextItemLoss, PrefixBatches
from recretrain.methods.objective import Objective
from tests.engine.processes import CPU, together

USERS, ITEMS = 200, 300
ROWS = 36  # batches of 5, the last of 1: fewer rows than processes


class OfPairs:
    """Matrix factorisation and its batches, the same whenever made."""

    optimizer: OptimizerName = "dense"

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(1)
        user = torch.randint(USERS, (ROWS,), generator=self.generator)
        item = torch.randint(ITEMS, (ROWS,), generator=self.generator)
        sampler = NegativeSampler.within(user, item, ITEMS)
        self.model = MF(vocabulary=Vocabulary.of(n_users=USERS, n_items=ITEMS), embedding_size=4, init_std=0.1)
        self.model.draw(self.generator)
        self.batches = Batches(Interactions(user, item), sampler, batch_size=5, generator=self.generator)
        adam = optimizer_of(self.optimizer, list(self.model.parameters()), learning_rate=0.01)
        self.objective = LogLoss(self.model, adam, reg=0.05)


class OfRows(OfPairs):
    """The same, rows of a batch moved alone."""

    optimizer = "rows"


class OfSteps(OfPairs):
    optimizer = "sgd"


class OfPrefixes:
    """A network on prefixes, with two exemplars beside every batch: fewer than three processes."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(1)
        rows = Interactions(torch.arange(40) // 4, torch.randint(20, (40,), generator=self.generator))
        torch.manual_seed(0)
        self.model = AderSASRec(
            vocabulary=Vocabulary.of(n_users=10, n_items=20),
            embedding_size=8, longest=4, blocks=1, dropout=0.0,
        )  # fmt: skip
        exemplars = prefixes_of(rows.rows(torch.arange(12)))
        beside = exemplar_stream(exemplars, 4, None, self.generator)
        self.batches = PrefixBatches(prefixes_of(rows), 7, 4, self.generator, lambda steps: beside(steps - 1))
        adam = DenseAdam(list(self.model.parameters()), learning_rate=0.01)
        self.objective = NextItemLoss(self.model, adam, replayed(0.5), 20)


def fitted(made: Callable[[], Any], peers: Peers | None) -> tuple[dict[str, Tensor], list[float]]:
    """The weights after two epochs, and the epochs' losses."""
    run = made()
    fitter = Fitter(CPU, run.generator, "32-true", peers=peers)
    fitter(run.objective, run.batches, epochs=2)
    weights = {name: weight.detach().clone() for name, weight in run.model.named_parameters() if "key.bias" not in name}
    return weights, [loss.loss for loss in fitter.losses.all()]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("made", [OfPairs, OfRows, OfSteps, OfPrefixes])
def test_a_fit_is_that_of_one_process(made: Callable[[], Any], count: int) -> None:
    alone, losses = fitted(made, None)

    several = together(count, lambda peers: fitted(made, peers))

    begun = dict(made().model.named_parameters())
    for name, weight in alone.items():
        assert not torch.equal(weight, begun[name]), name
        torch.testing.assert_close(several[0][0][name], weight, rtol=0, atol=2e-6)
        assert all(torch.equal(other[name], several[0][0][name]) for other, _ in several[1:]), name
    assert several[0][1] == pytest.approx(losses, rel=1e-5)


class Mixed(nn.Module):
    """A table read by rows, one that a soft-max goes through, and a weight that one process has no gradient of."""

    def __init__(self) -> None:
        super().__init__()
        self.read = nn.Parameter(torch.zeros(50, 2))
        self.scored = nn.Parameter(torch.ones(6, 2))
        self.one = nn.Parameter(torch.zeros(3))
        self.none = nn.Parameter(torch.zeros(2))


def added_up(peers: Peers) -> tuple[dict[str, Tensor | None], bool]:
    """Every gradient, and whether that of the first table is still kept by rows."""
    model = Mixed()
    rows = torch.tensor([[3, 3, 7], [7, 9, 9]][peers.rank])
    loss = take(model.read, rows).sum()
    loss = loss + cross_entropy(torch.ones(1, 2), model.scored, torch.tensor([peers.rank]), 6)
    if peers.rank:
        loss = loss + 2 * model.one.sum()
    loss.backward()
    peers.add_up(torch.optim.SGD(model.parameters(), lr=1.0))
    kept = model.read.grad
    by_rows = isinstance(kept, TableGradient) and len(kept.written) == 2
    assert isinstance(kept, TableGradient)
    found = {n: None if w.grad is None else w.grad.clone().as_subclass(Tensor) for n, w in model.named_parameters()}
    kept.clear()
    return found, by_rows and not kept.any()


def test_gradients_are_added_up_whatever_they_are() -> None:
    (first, by_rows), (second, _) = together(2, added_up)

    expected = torch.zeros(50, 2)
    expected[3], expected[7], expected[9] = 2.0, 2.0, 2.0
    assert torch.equal(first["read"], expected)
    assert by_rows
    torch.testing.assert_close(first["scored"][:2], torch.full((2, 2), 2 / 6 - 1))  # 2 x a sixth, less one label
    torch.testing.assert_close(first["scored"][2:], torch.full((4, 2), 2 / 6))
    assert torch.equal(first["one"], torch.full((3,), 2.0))
    assert first["none"] is None
    assert all(torch.equal(first[name], second[name]) for name in ("read", "scored", "one"))


def drawn(peers: Peers) -> tuple[float, float, float]:
    """Random numbers before, in and after a fit, as dropout draws them."""
    objective = OfPairs().objective
    torch.manual_seed(3)
    before = float(torch.rand(()))
    with peers.fitting(objective):
        within = float(torch.rand(()))
    return before, within, float(torch.rand(()))


def test_each_draws_dropout_of_its_own_and_all_go_on_alike() -> None:
    (before, within, after), second, third = together(3, drawn)

    torch.manual_seed(3)
    assert [float(torch.rand(())) for _ in range(3)] == [before, within, after]
    assert (before, after) == second[::2] == third[::2]
    assert len({within, second[1], third[1]}) == 3


def begun_apart(peers: Peers) -> Tensor:
    run = OfPairs()
    with torch.no_grad():
        run.model.user.add_(peers.rank)
    with peers.fitting(run.objective):
        return run.model.user.detach().clone()


def test_a_fit_begins_with_the_weights_of_the_first() -> None:
    first, second = together(2, begun_apart)

    assert torch.equal(first, OfPairs().model.user)
    assert torch.equal(second, first)


class Meter:
    read: dict[str, int] = {}  # noqa: RUF012

    def elapsed(self) -> tuple[float, float]:
        return 0.0, 0.0

    def add(self, wall: float, cpu: float, read: Any) -> None:
        pass


def test_all_train_at_once_or_none_does(tmp_path: Any) -> None:
    def work(peers: Peers) -> list[Any]:
        shared = Pretrained(tmp_path, {"seed": 0}, {"pretraining": {}}, Meter()) if not peers.rank else None  # type: ignore[arg-type]
        found: list[Any] = []
        for _ in range(2):  # the second time the first process takes what it has kept
            run, trained = OfPairs(), []
            fitter = Fitter(CPU, run.generator, "32-true", shared, peers)

            def train(model: MF = run.model, trained: list[int] = trained) -> None:
                trained.append(1)
                nn.init.constant_(model.user, 5.0 + peers.rank)
                torch.rand(peers.rank + 1)

            fitter.once("pretraining", run.model, train)
            found.append((len(trained), float(run.model.user[0, 0].detach()), float(torch.rand(()))))
        return found

    first, second = together(2, work)

    assert [times for times, _, _ in first] == [1, 0]
    assert {value for _, value, _ in first} == {5.0}
    assert first == second


class Undivided(Objective[tuple[Tensor]]):
    def loss(self, batch: tuple[Tensor]) -> Tensor:
        raise AssertionError("it is learned")


@pytest.mark.parametrize("objective", [Undivided(None), nn.Linear(1, 1)])
def test_an_objective_that_cannot_be_divided_is_refused(objective: Any) -> None:
    peers = object.__new__(Peers)
    peers.count = 4

    with pytest.raises(ConfigError, match=rf"trainer\.devices=4: a batch of {type(objective).__name__} cannot be"):
        peers.fitting(objective).__enter__()


@pytest.mark.parametrize("rows", [3, 8, 10])
def test_the_parts_of_a_batch_are_all_of_it(rows: int) -> None:
    batch = (torch.arange(rows), (torch.arange(2), None), 0.5)

    parts = [part_of(batch, rank, 3) for rank in range(3)]

    assert torch.equal(torch.cat([part[0] for part in parts]), batch[0])
    assert max(len(part[0]) for part in parts) - min(len(part[0]) for part in parts) <= 1
    assert torch.equal(torch.cat([part[1][0] for part in parts]), torch.arange(2))
    assert {part[1][1:] + part[2:] for part in parts} == {(None, 0.5)}
