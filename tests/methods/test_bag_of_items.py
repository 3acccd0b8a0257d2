"""The bag of items, beside scikit-learn's own answers and by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.interactions import PAD, Interactions
from recretrain.data.kinds import Histories
from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.bag_of_items import BagOfItems

SOURCE = 12  # items 0 to 11; two classes, then three
SPACES = {"spaces": ("source", "two", "three"), "item_space": torch.tensor([0] * SOURCE + [1] * 2 + [2] * 3)}
TWO, THREE = torch.arange(SOURCE, SOURCE + 2), torch.arange(SOURCE + 2, SOURCE + 5)
STRENGTHS = [0.01, 0.1, 1.0]


@dataclass
class Parted:
    train: Histories
    held: Histories | None

    def interactions(self) -> Interactions:
        return Interactions(self.train.user, self.train.labels)

    def questions(self) -> Histories:
        return self.train

    def valid(self) -> Histories | None:
        return self.held


class Here:
    device = torch.device("cpu")


def asked(labels: torch.Tensor, rows: int, seed: int) -> Histories:
    """Histories of up to six items, some twice; the first item says a little of the label."""
    rng = np.random.default_rng(seed)
    history = rng.integers(SOURCE, size=(rows, 6))
    history[np.arange(6) < rng.integers(5, size=(rows, 1))] = PAD
    told = (history[:, -1] + (rng.random(rows) < 0.3)) % len(labels)
    return Histories(
        period=1,
        user=torch.arange(rows),
        labels=labels[torch.from_numpy(told)],
        catalogue=labels,
        history=torch.from_numpy(history).int(),
    )


def bag(history: torch.Tensor) -> np.ndarray:
    return np.array([[float(item in row) for item in range(SOURCE)] for row in history.tolist()])


def method(**changes) -> BagOfItems:
    options = {"strengths": STRENGTHS, "classes": 5, "longest": 6, "iterations": 1000}
    vocabulary = Vocabulary.of(n_users=400, n_items=SOURCE + 5, **SPACES)
    return BagOfItems(backbone=ItemScores(vocabulary=vocabulary), **{**options, **changes})


def learn(learner: BagOfItems, train: Histories, valid: Histories | None) -> None:
    learner.update(Task(0, Period(1, "1", Parted(train, valid)), Past([]), dict), Here())


def score(learner: BagOfItems, test: Histories) -> torch.Tensor:
    return learner.score(test.asked(slice(None), Here.device, catalogue=test.catalogue))


def theirs(train: Histories, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=1000, tol=1e-8).fit(bag(train.history), train.labels.numpy())


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
def test_scores_are_the_log_probabilities_of_the_strength_that_validation_chooses(labels):
    train, valid, test = asked(labels, 80, 0), asked(labels, 60, 1), asked(labels, 30, 2)
    learner = method()

    learn(learner, train, valid)

    fitted = [theirs(train, strength) for strength in STRENGTHS]
    losses = [log_loss(valid.labels, one.predict_proba(bag(valid.history))) for one in fitted]
    expected = fitted[int(np.argmin(losses))].predict_log_proba(bag(test.history))
    assert max(losses) > min(losses) + 0.01
    assert score(learner, test).numpy() == pytest.approx(expected, abs=2e-3)
    size = len(labels) * (SOURCE + 1)
    assert learner.trained_parameters() == size
    assert [(note.name, note.value) for note in learner.notes()] == [
        ("fixed_answers", 1),
        ("tuned", size),
        ("task_bytes", 8 * size),
    ]


def test_without_validation_the_first_strength_is_taken():
    train, test = asked(THREE, 80, 0), asked(THREE, 30, 2)
    learner = method(strengths=[0.1, 1.0])

    learn(learner, train, None)

    expected = theirs(train, 0.1).predict_log_proba(bag(test.history))
    assert score(learner, test).numpy() == pytest.approx(expected, abs=2e-3)


def test_a_label_that_was_never_met_has_the_share_that_counting_gives_it():
    train = asked(THREE[:2], 77, 0)
    learner = method(strengths=[0.1])

    learn(learner, train, None)

    test = replace(asked(THREE[:2], 30, 2), catalogue=THREE)
    found = score(learner, test).exp()
    assert found[:, 2].tolist() == pytest.approx([1 / 80] * 30)
    expected = theirs(train, 0.1).predict_proba(bag(test.history)) * 79 / 80
    assert found[:, :2].numpy() == pytest.approx(expected, abs=1e-3)


def test_an_old_task_is_answered_as_before():
    learner, test = method(), asked(TWO, 30, 2)
    learn(learner, asked(TWO, 80, 0), asked(TWO, 60, 1))
    before = score(learner, test)

    learn(learner, asked(THREE, 80, 0), asked(THREE, 60, 1))

    assert torch.equal(score(learner, test), before)


def test_only_the_last_items_count_and_empty_or_strange_histories_have_the_bias_alone():
    train = asked(THREE, 80, 0)
    learner, shown_no_more = method(strengths=[0.1], longest=2), method(strengths=[0.1])
    train = replace(train, history=train.history.masked_fill(train.history == 3, 4))
    learn(learner, train, None)
    learn(shown_no_more, replace(train, history=train.history[:, -2:]), None)

    histories = torch.tensor([[PAD, PAD, PAD], [PAD, 3, 3], [7, PAD, 5], [8, 5, 5]]).int()
    test = replace(asked(THREE, 4, 2), history=histories)
    found = score(learner, test)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[2], found[3])
    assert not torch.equal(found[0], found[2])
    assert torch.equal(score(shown_no_more, replace(test, history=histories[:, -2:])), found)


def test_too_many_labels_or_a_single_one_are_answered_by_their_frequency(caplog):
    caplog.set_level("INFO", logger="recretrain")
    many, single = method(classes=2), method()
    train = asked(THREE, 80, 0)

    learn(many, train, None)
    learn(single, replace(train, labels=torch.full((80,), int(THREE[1]))), None)

    counted = torch.bincount(train.labels - SOURCE - 2, minlength=3).double().log1p()
    assert score(many, train)[0].tolist() == counted.tolist()
    assert score(single, train)[0].tolist() == pytest.approx([0.0, np.log(81), 0.0])
    assert [note.name for note in many.notes()] == ["fixed_answers"]
    assert caplog.messages == ["1: 3 labels, more than method.classes=2; they are answered by their frequency"]
