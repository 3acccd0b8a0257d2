"""Figures of classes against scikit-learn, of items against ir_measures, and ties by hand."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

from recretrain.data.interactions import PAD
from recretrain.data.kinds import Histories, Questions
from recretrain.data.questions import Arrivals, ColdRatings
from recretrain.errors import ConfigError, Mistake
from recretrain.evaluation.downstream import DownstreamEvaluator, auc, other_classes, scored

CPU = torch.device("cpu")
FIRST = 10  # the id of the first label: a downstream space begins anywhere


class Table:
    """A scorer that knows each question by its user, and gives its row of a table."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores = scores
        self.asked = 0

    def score(self, questions: Questions) -> torch.Tensor:
        assert questions.candidates is None
        assert questions.catalogue is not None
        self.asked += len(questions.user)
        return self.scores[questions.user][:, questions.catalogue - FIRST]


def questions(labels, n: int, candidates=None, groups=None) -> Histories:
    count = len(labels)
    return Histories(
        period=2,
        user=torch.arange(count),
        labels=torch.as_tensor(labels) + FIRST,
        candidates=None if candidates is None else (torch.as_tensor(candidates) + FIRST).to(torch.int32),
        catalogue=torch.arange(n) + FIRST,
        history=torch.full((count, 1), PAD, dtype=torch.int32),
        groups=groups or {},
    )


def evaluator(**changes) -> DownstreamEvaluator:
    asked = Arrivals(
        candidates=3, catalogue="full", history=None, history_space=None, had="left_out", seed=0, draws="stored"
    )
    return DownstreamEvaluator(**{"questions": asked, "ks": [5], "classes": 8, **changes})


def answered(scores, test, **changes):
    answer = evaluator(**changes).answer(Table(torch.as_tensor(scores)), 1, "test", test, CPU)
    return {(row.group, row.metric, row.k): row.value for row in answer.rows}, answer


def drawn(count: int, classes: int, seed: int = 0):
    """Scores of some use, and labels."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    scores = random.normal(size=(count, classes)).astype(np.float32)
    scores[np.arange(count), labels] += 1
    return scores, labels


@pytest.mark.parametrize("classes", [2, 6])
def test_accuracy_and_nll_are_those_of_scikit_learn(classes):
    scores, labels = drawn(700, classes)  # more than one chunk

    found, _ = answered(scores, questions(labels, classes))

    assert found["all", "accuracy", 0] == pytest.approx(accuracy_score(labels, scores.argmax(1)))
    shares = torch.softmax(torch.from_numpy(scores).double(), 1).numpy()
    assert found["all", "nll", 0] == pytest.approx(log_loss(labels, shares, labels=range(classes)))


def test_auc_is_that_of_scikit_learn_ties_half_and_asked_of_two_classes_alone():
    scores, labels = drawn(300, 2)
    scores = np.round(scores)  # many ties

    found, _ = answered(scores, questions(labels, 2))

    assert found["all", "auc", 0] == pytest.approx(roc_auc_score(labels, scores[:, 1] - scores[:, 0]))

    scores, labels = drawn(20, 3)
    assert ("all", "auc", 0) not in answered(scores, questions(labels, 3))[0]


def test_a_group_of_one_class_has_no_auc():
    scores, labels = drawn(40, 2)
    ones = torch.from_numpy(labels == 1)

    found, _ = answered(scores, questions(labels, 2, groups={"ones": ones}))

    assert ("ones", "accuracy", 0) in found
    assert ("ones", "auc", 0) not in found
    assert auc(torch.tensor([1.0, 2.0]), torch.tensor([True, True])) is None


def test_figures_of_a_group_are_those_of_its_members():
    scores, labels = drawn(60, 4)
    half = torch.arange(60) < 20

    found, answer = answered(scores, questions(labels, 4, groups={"age": half}))

    assert found["age", "accuracy", 0] == pytest.approx(accuracy_score(labels[:20], scores[:20].argmax(1)))
    assert answer.kept["2_test:age"].tolist() == half.tolist()
    assert {row.n for row in answer.rows if row.group == "age"} == {20}


def test_the_released_accuracy_sees_a_label_win_over_the_classes_that_were_drawn():
    scores, labels = drawn(500, 6)
    others = other_classes(torch.from_numpy(labels), 6, np.random.default_rng([0, 2])).numpy()
    assert others.shape == (500, 5)
    assert not (others == labels[:, None]).any()
    assert set(others.flatten()) == set(range(6))

    found, _ = answered(scores, questions(labels, 6))

    own = scores[np.arange(500), labels]
    won = [own[row] > max(scores[row, other] for other in others[row]) for row in range(500)]
    assert found["all", "sampled_accuracy", 0] == pytest.approx(np.mean(won))
    assert found["all", "sampled_accuracy", 0] >= found["all", "accuracy", 0]


def test_the_released_accuracy_flatters_as_much_as_was_simulated():
    """Gumbel noise as a classifier that is right with probability .61: .702 by the released rule (peterrec.md, j 7)."""
    random = np.random.default_rng(0)
    count, classes, right = 40_000, 6, 0.61
    labels = random.integers(classes, size=count)
    scores = random.gumbel(size=(count, classes))
    scores[np.arange(count), labels] += np.log(right / (1 - right) * (classes - 1))

    found, _ = answered(scores.astype(np.float32), questions(labels, classes))

    assert found["all", "accuracy", 0] == pytest.approx(0.61, abs=0.008)
    assert found["all", "sampled_accuracy", 0] == pytest.approx(0.702, abs=0.008)


def test_hit_rate_and_mrr_in_the_catalogue_are_those_of_ir_measures():
    scores, labels = drawn(80, 30)

    found, _ = answered(scores, questions(labels, 30), ks=[1, 5])

    qrels = [ir_measures.Qrel(str(q), str(label), 1) for q, label in enumerate(labels)]
    run = [ir_measures.ScoredDoc(str(q), str(i), float(s)) for q, row in enumerate(scores) for i, s in enumerate(row)]
    wanted = {("hit_all", k): f"Success@{k}" for k in (1, 5)} | {("mrr_all", k): f"RR@{k}" for k in (1, 5)}
    measures = [ir_measures.parse_measure(name) for name in wanted.values()]
    theirs = ir_measures.calc_aggregate(measures, qrels, run)
    for (metric, k), measure in zip(wanted, measures, strict=True):
        assert found["all", metric, k] == pytest.approx(theirs[measure])
    assert ("all", "hit", 5) not in found  # there were no candidates


def test_a_label_loses_ties_and_a_candidate_counts_as_often_as_it_was_drawn():
    scores = torch.zeros(3, 12)
    scores[:, 3], scores[:, 4] = 2.0, 1.0
    candidates = [[3, 3, 5, 6, 7], [3, 4, 4, 4, 3], [3, 1, 1, 1, 1]]
    test = questions([4, 2, 0], 12, candidates)  # scores 1, 0, 0

    found, answer = answered(scores, test)

    assert answer.kept["2_test_sampled"].tolist() == [2 * 2, 2 * 5, 2 * 5]
    assert answer.kept["2_test"].tolist() == [2 * 1, 2 * 11, 2 * 11]
    assert found["all", "hit", 5] == pytest.approx(1 / 3)
    assert found["all", "mrr", 5] == pytest.approx(1 / 3 / 3)  # the label is third, as 3 was drawn twice
    assert found["all", "mrr_all", 5] == pytest.approx(1 / 2 / 3)


def test_a_random_scorer_has_the_figures_of_chance_and_a_constant_one_none():
    random = np.random.default_rng(1)
    count, items = 8_000, 60
    labels = random.integers(items, size=count)
    others = random.integers(items - 1, size=(count, 99))
    test = questions(labels, items, others + (others >= labels[:, None]))

    by_chance, _ = answered(random.random((count, items), dtype=np.float32), test)
    constant, _ = answered(torch.ones(count, items), test)

    # of all items, as drawn candidates repeat: P(rank < 5) = 5 / 60, and 1/60 (1 + 1/2 + .. + 1/5)
    assert by_chance["all", "hit_all", 5] == pytest.approx(5 / 60, abs=0.01)
    assert by_chance["all", "mrr_all", 5] == pytest.approx(sum(1 / (60 * place) for place in range(1, 6)), abs=0.005)
    assert set(constant.values()) == {0.0}


def test_among_ninety_nine_a_random_scorer_has_five_hundredths():
    random = np.random.default_rng(2)
    count, items = 4_000, 2_000
    labels = random.integers(items, size=count)
    others = random.integers(items - 1, size=(count, 99))
    test = questions(labels, items, others + (others >= labels[:, None]))

    found, _ = answered(random.random((count, items), dtype=np.float32), test)

    assert found["all", "hit", 5] == pytest.approx(0.05, abs=0.011)  # three standard errors
    assert found["all", "mrr", 5] == pytest.approx(0.02283, abs=0.006)


def test_each_question_is_scored_once_and_classes_keep_their_scores():
    scores, labels = drawn(600, 3)
    table = Table(torch.from_numpy(scores))

    answer = evaluator().answer(table, 1, "choosing", questions(labels, 3, [[0]] * 600), CPU)

    assert table.asked == 600
    assert sorted(answer.kept) == ["2_choosing", "2_choosing_label", "2_choosing_scores", "2_choosing_user"]
    np.testing.assert_array_equal(answer.kept["2_choosing_scores"], scores)
    assert answer.kept["2_choosing_label"].tolist() == labels.tolist()


def test_more_labels_than_classes_are_items():
    scores, labels = drawn(10, 9)

    assert {metric for _, metric, _ in answered(scores, questions(labels, 9))[0]} == {"hit_all", "mrr_all"}
    assert {metric for _, metric, _ in answered(scores, questions(labels, 9), classes=9)[0]} == {
        *("accuracy", "nll", "sampled_accuracy")
    }


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(broken):
    scores, labels = drawn(10, 3)
    scores[4, 1] = broken

    with pytest.raises(Mistake, match="period 2"):
        answered(scores, questions(labels, 3))


def test_what_cannot_be_asked_is_named():
    with pytest.raises(ConfigError, match="have no labels to choose from"):
        evaluator(questions=ColdRatings())
    test = questions([0, 1], 2)
    with pytest.raises(ConfigError, match="not in its catalogue"):
        scored(Table(torch.zeros(2, 9)), questions([0, 5], 2), CPU, keep=True)
    with pytest.raises(ConfigError, match="have no catalogue"):
        scored(Table(torch.zeros(2, 2)), Histories(**{**vars(test), "catalogue": None}), CPU, keep=True)
