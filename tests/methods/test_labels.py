"""Labels of a task: losses by hand, what is held out, when a fit ends, and what is computed once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from recretrain.data.kinds import Histories
from recretrain.data.stream import Period
from recretrain.engine.fitter import Fitter
from recretrain.methods.learners.labels import (
    LabelLearner,
    Labelled,
    LabelLoss,
    LabelNet,
    LossOf,
    Stopping,
    UserBatches,
    by_history,
    features_of,
    held_out_loss,
    with_features,
)

CPU = torch.device("cpu")
LABELS = torch.arange(10, 14)


class Net(LabelNet):
    """A history's features are what its newest item is, one by one."""

    fixed = False
    names = frozenset({"head"})

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Parameter(torch.zeros(len(LABELS), 5))
        self.asked = 0

    def features(self, history: Tensor) -> Tensor:
        self.asked += len(history)
        return torch.eye(5)[history[:, -1]]

    def scores(self, features: Tensor, labels: Tensor) -> Tensor:
        rows = self.head[labels - 10]
        return features @ rows.T if labels.dim() == 1 else torch.einsum("bf,bnf->bn", features, rows)

    def penalty(self) -> Tensor:
        return 0.5 * self.head.square().sum()


def learner(**changes: object) -> LabelLearner:
    values = {
        "readout": "tcl",
        "loss": LabelLoss(items="bpr", classes="softmax", at_most=50, l2=0.0),
        "learning_rates": [0.1],
        "batch_size": 4,
        "batches": "rows",
        "stopping": Stopping(epochs=30, patience=2, least_steps=0, validation=0.25),
    }
    return LabelLearner(**{**values, **changes})


def fitter() -> Fitter:
    return Fitter(CPU, torch.Generator().manual_seed(0), "32-true")


def rows(n: int = 40, users: int = 40) -> Labelled:
    newest = torch.arange(n) % users % 4
    history = torch.stack([torch.full((n,), 4), newest], 1)
    return Labelled(history, torch.arange(n) % users, 10 + newest, torch.empty(n, 0, dtype=torch.long))


class Rows:
    """The rows of a period: labels that the newest item tells."""

    def __init__(self, valid: int = 0) -> None:
        self._valid = valid

    def questions(self) -> Histories:
        return as_test(rows())

    def valid(self) -> Histories | None:
        return as_test(rows(self._valid)) if self._valid else None


def as_test(of: Labelled) -> Histories:
    return Histories(period=1, user=of.user, labels=of.label, history=of.history.int(), catalogue=LABELS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax", math.log(math.e**2 + math.e + 2) - 2),
        ("bpr", (math.log(1 + math.exp(1 - 2)) + math.log(1 + math.exp(0 - 2))) / 2),
        ("pointwise", math.log(1 + math.exp(-2)) + (math.log(1 + math.e) + math.log(2)) / 2),
    ],
)
def test_losses_by_hand(name: str, expected: float) -> None:
    net = Net()
    with torch.no_grad():
        net.head[:, 0] = torch.tensor([0.0, 1.0, 2.0, 0.0])
    features = torch.eye(5)[:1]

    loss = LossOf(name, LABELS, 0.0)(net, features, torch.tensor([12]), torch.tensor([[11, 10]]))

    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_another_label_is_uniform_over_all_but_its_own() -> None:
    loss = LossOf("bpr", LABELS, 0.0)

    drawn = loss.drawn(torch.full((30_000,), 11), torch.Generator().manual_seed(0)).flatten()

    assert torch.bincount(drawn, minlength=14)[10:].tolist() == pytest.approx([10_000, 0, 10_000, 10_000], abs=300)
    assert LossOf("softmax", LABELS, 0.0).drawn(LABELS, torch.Generator()).shape == (4, 0)


def test_the_labels_are_learned_and_the_best_epoch_is_kept() -> None:
    net = Net()

    found = learner().fit(net, Period(1, "task", Rows(valid=8)), fitter())

    assert found.learning_rate == 0.1
    assert found.steps == len(found.losses) * 10
    assert net.scores(net.features(rows().history), LABELS).argmax(1).tolist() == (rows().label - 10).tolist()
    assert held_out_loss(net, rows(8), LossOf("softmax", LABELS, 0.0)) == pytest.approx(min(found.losses), abs=1e-6)


def test_of_several_learning_rates_the_one_with_the_lowest_loss_is_kept() -> None:
    found = learner(learning_rates=[1e-5, 0.3, 1e-4]).fit(net := Net(), Period(1, "task", Rows(valid=8)), fitter())

    assert found.learning_rate == 0.3
    assert held_out_loss(net, rows(8), LossOf("softmax", LABELS, 0.0)) == pytest.approx(min(found.losses), abs=1e-6)


def test_without_a_part_for_it_some_labels_are_held_out() -> None:
    seen = []

    class Noting(Net):
        def scores(self, features: Tensor, labels: Tensor) -> Tensor:
            seen.append((len(features), torch.is_grad_enabled()))
            return super().scores(features, labels)

    learner(stopping=Stopping(epochs=1, patience=1, least_steps=0, validation=0.25)).fit(
        Noting(), Period(1, "task", Rows()), fitter()
    )

    assert sum(n for n, learns in seen if learns) == 30
    assert sum(n for n, learns in seen if not learns) == 10


def test_nothing_ends_before_the_least_steps() -> None:
    """A loss that never falls would end after `patience` epochs."""
    stuck = learner(learning_rates=[1e-30], stopping=Stopping(epochs=2, patience=1, least_steps=75, validation=0.25))

    assert stuck.fit(Net(), Period(1, "task", Rows(valid=8)), fitter()).steps == 80


def test_features_that_nothing_changes_are_computed_once() -> None:
    class Fixed(Net):
        fixed = True

    net = Fixed()
    found = learner().fit(net, Period(1, "task", Rows(valid=8)), fitter())

    assert len(found.losses) > 3
    assert net.asked == 48


def test_a_users_history_is_computed_once_for_all_labels() -> None:
    net, some = Net(), rows(20, users=5)

    found = features_of(net, some)

    assert net.asked == 5
    assert torch.equal(found, torch.eye(5)[some.history[:, -1]])


def test_histories_of_a_user_that_differ_are_computed_one_by_one() -> None:
    net, some = Net(), rows(20, users=5)
    some.history[3, -1] = 4

    found = by_history(net.features, some.history, some.user)

    assert torch.equal(found, torch.eye(5)[some.history[:, -1]])


def test_batches_of_users_hold_all_labels_of_each() -> None:
    user = torch.tensor([3, 1, 3, 2, 1, 3, 0])
    batches = UserBatches(user, 100, torch.Generator().manual_seed(0))

    (order,) = next(iter(batches))

    assert sorted(order.tolist()) == list(range(7))
    assert len(torch.unique_consecutive(user[order])) == 4
    assert [len(part[0]) for part in UserBatches(user, 3, torch.Generator())] == [3, 3, 1]


def test_fixed_features_need_no_history() -> None:
    kept = with_features(Net(), rows(8))

    assert kept.history.shape == (8, 0)
    assert torch.equal(kept.features, torch.eye(5)[rows(8).history[:, -1]])
