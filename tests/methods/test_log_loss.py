"""The loss of pairs by hand, and where its negatives come from."""

from __future__ import annotations

import math

import pytest
import torch

from recretrain.backbones.mf import MF
from recretrain.data.interactions import Interactions
from recretrain.data.stream import Period
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.methods.learners.base import Lesson
from recretrain.methods.learners.log_loss import BPRLoss, LogLoss, LogLossLearner, log_loss, summed_squares

CPU = torch.device("cpu")


def mf() -> MF:
    made = MF(vocabulary=Vocabulary.of(n_users=2, n_items=6), embedding_size=1, init_std=0.1)
    with torch.no_grad():
        made.user.copy_(torch.tensor([[1.0], [2.0]]))
        made.item.copy_(torch.tensor([[0.0], [1.0], [0.5], [0.0], [0.0], [0.0]]))
    return made


def learner(**changes) -> LogLossLearner:
    options = {"learning_rate": 0.01, "reg": 0.0, "batch_size": 4, "epochs": 1, "negatives": "rows"}
    return LogLossLearner(**{**options, "loss": "log", "optimizer": "dense", **changes})


class Given:
    """Pairs of a period."""

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        self.pairs = pairs

    def interactions(self) -> Interactions:
        user, item = zip(*self.pairs, strict=True)
        return Interactions(torch.tensor(user), torch.tensor(item))


def lesson(*periods: list[tuple[int, int]], whole: bool = False) -> Lesson:
    *past, new = (Period(n, str(n), Given(pairs)) for n, pairs in enumerate(periods))
    return Lesson(new, past, whole=whole, cold=False)


class Watching:
    """A fit that keeps what it is given, and trains nothing."""

    device = CPU

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.batches: list = []
        self.epochs: list[int] = []

    def __call__(self, objective, data, *, epochs: int) -> None:
        self.batches = [batch for _ in range(200) for batch in data]
        self.epochs.append(epochs)

    @property
    def negatives(self) -> set[tuple[int, int]]:
        """Users with the items that were drawn for them."""
        return {(int(u), int(n)) for user, _, negative in self.batches for u, n in zip(user, negative, strict=True)}


def test_the_loss_of_a_pair_by_hand():
    # user 1 (2.0) took item 1 (1.0) and not item 2 (0.5): scores 2 and 1
    batch = torch.tensor([1]), torch.tensor([1]), torch.tensor([2])

    bare = LogLoss(mf(), None, reg=0.0).loss(batch)
    weighed = LogLoss(mf(), None, reg=0.1).loss(batch)

    expected = -math.log(1 / (1 + math.exp(-2))) - math.log(1 - 1 / (1 + math.exp(-1)))
    assert bare.item() == pytest.approx(expected, rel=1e-6)
    assert weighed.item() == pytest.approx(expected + 0.1 * 0.5 * (4 + 1 + 0.25), rel=1e-6)


def test_the_loss_of_the_difference_by_hand():
    # user 0 (1.0) took item 1 (1.0) and not item 2 (0.5); user 1 (2.0) took item 2 and not item 1
    batch = torch.tensor([0, 1]), torch.tensor([1, 2]), torch.tensor([2, 1])

    loss = BPRLoss(mf(), None, reg=0.1).loss(batch)

    expected = -(math.log(1 / (1 + math.exp(-0.5))) + math.log(1 / (1 + math.exp(1.0)))) / 2
    assert loss.item() == pytest.approx(expected + 0.1 * 0.5 * (1 + 4 + 2 * 1 + 2 * 0.25), rel=1e-6)


@pytest.mark.parametrize("loss", ["log", "bpr"])
@pytest.mark.parametrize("optimizer", ["dense", "rows", "sgd"])
def test_every_optimizer_learns_pairs_by_either_loss(loss: str, optimizer: str):
    torch.manual_seed(0)
    backbone = MF(vocabulary=Vocabulary.of(n_users=2, n_items=6), embedding_size=4, init_std=0.1)
    untouched = backbone.item[4:].detach().clone()
    taken = [(0, 0), (0, 1), (1, 2), (1, 3)]
    teacher = learner(loss=loss, optimizer=optimizer, learning_rate=2.0 if optimizer == "sgd" else 0.05, epochs=60)

    teacher.fit(backbone, lesson(taken), Fitter(CPU, torch.Generator().manual_seed(0), "32-true"))

    scores = (backbone.user @ backbone.item.T).detach()
    assert scores[0, :2].min() > scores[0, 2:4].max() + 1
    assert scores[1, 2:4].min() > scores[1, :2].max() + 1
    assert torch.equal(backbone.item[4:].detach(), untouched)  # nobody's item, never drawn


def test_means_are_over_pairs_and_sums_over_rows():
    scores = torch.tensor([0.0, 0.0])

    assert log_loss(scores, scores).item() == pytest.approx(2 * math.log(2), rel=1e-6)
    assert summed_squares(torch.tensor([[1.0, 2.0], [3.0, 0.0]])).item() == 0.5 * (1 + 4 + 9)


EARLIER, TODAY = [(0, 0), (1, 1)], [(0, 2), (1, 3), (0, 2)]


def test_negatives_are_items_of_the_rows_learned_from():
    made, fit = learner(), Watching()

    made.fit(mf(), lesson(EARLIER, TODAY), fit)

    assert made.met is None
    assert fit.negatives == {(0, 3), (1, 2)}


def test_negatives_may_be_items_of_all_periods_met():
    made, fit, backbone = learner(negatives="met"), Watching(), mf()

    made.meet(backbone, lesson(EARLIER).period)
    made.fit(backbone, lesson(EARLIER, TODAY), fit)

    assert made.met.tolist() == [True, True, True, True, False, False]
    assert fit.negatives == {(0, 0), (0, 1), (0, 3), (1, 0), (1, 1), (1, 2)}  # those of earlier rows are not kept


def test_a_whole_lesson_is_all_rows_and_epochs_are_handed_on():
    fit = Watching()

    learner(epochs=3, batch_size=9).fit(mf(), lesson(EARLIER, TODAY, whole=True), fit)

    user, item, _ = fit.batches[0]
    assert sorted(zip(user.tolist(), item.tolist(), strict=True)) == sorted([*EARLIER, *TODAY])
    assert fit.epochs == [3]
