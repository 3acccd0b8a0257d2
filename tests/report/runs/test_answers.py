"""Values of single questions are those whose mean the evaluator reports."""

from __future__ import annotations

import numpy as np
import pytest

from recretrain.errors import ReportError
from recretrain.report.runs import answers
from recretrain.report.runs.answers import values

torch = pytest.importorskip("torch")


def test_values_of_ranks_are_those_of_the_evaluator() -> None:
    from recretrain.evaluation.metrics import METRICS

    ranks = np.arange(0, 12, 0.5)

    assert METRICS.keys() == answers.GAINS.keys()
    for name, metric in METRICS.items():
        expected = metric(torch.as_tensor(ranks), 5).numpy()
        np.testing.assert_allclose(values({"": ranks}, f"{name}@5"), expected, rtol=1e-12)


def test_values_of_ratings_are_those_of_the_evaluator() -> None:
    from recretrain.evaluation.ratings import ERRORS, GAINS, ndcg

    generator = np.random.default_rng(0)
    rated = generator.integers(1, 6, (200, 10)).astype(np.float32)
    predicted = generator.integers(1, 6, (200, 10)).astype(np.float32)  # many ties
    predicted[:50] += generator.random((50, 10), dtype=np.float32)
    predicted[-1] = 3
    arrays = {"_predicted": predicted, "_rated": rated}
    of_torch = torch.as_tensor(predicted).double(), torch.as_tensor(rated).double()

    assert ERRORS.keys() == answers.ERRORS.keys() | {"rmse", "mse_by_batch"}  # these are no means over questions
    assert GAINS.keys() == answers.RATING_GAINS.keys()
    for name in answers.ERRORS:
        np.testing.assert_allclose(values(arrays, name), ERRORS[name](*of_torch).numpy(), rtol=1e-12)
    for name, gain in GAINS.items():
        for k in (1, 3, 20):
            expected = ndcg(*of_torch, k, gain).numpy()
            np.testing.assert_allclose(values(arrays, f"{name}@{k}"), expected, rtol=1e-12)


def test_tied_predictions_share_the_discounts_of_their_places() -> None:
    arrays = {"_predicted": np.array([[3.0, 3.0, 1.0]]), "_rated": np.array([[5.0, 1.0, 4.0]])}

    assert values(arrays, "ndcg_lin@1") == pytest.approx([(5 + 1) / 2 / 5])
    assert values(arrays, "ndcg_exp@1") == pytest.approx([(31 + 1) / 2 / 31])


def test_one_rating_a_question_has_errors_and_a_perfect_order() -> None:
    arrays = {"_predicted": np.array([[3.5], [2.0]]), "_rated": np.array([[5.0], [2.0]])}

    assert values(arrays, "mae").tolist() == [1.5, 0]
    assert values(arrays, "mse").tolist() == [2.25, 0]
    assert values(arrays, "ndcg_lin@1").tolist() == [1, 1]


@pytest.mark.parametrize(("column", "kept"), [("mae", {""}), ("recall@20", {"_predicted", "_rated"}), ("mrr@1", set())])
def test_a_metric_needs_its_own_arrays(column: str, kept: set[str]) -> None:
    with pytest.raises(ReportError, match=f"cannot compute {column} from the arrays that the run kept"):
        values({name: np.zeros((1, 1)) for name in kept}, column)


def test_values_of_downstream_tasks_are_those_of_the_evaluator() -> None:
    from recretrain.data.kinds import Rankings
    from recretrain.data.questions import Arrivals
    from recretrain.evaluation.downstream import DownstreamEvaluator

    class Scores:
        def __init__(self, items: int) -> None:
            self.table = torch.rand(90, items, generator=torch.Generator().manual_seed(0)).round(decimals=1)

        def score(self, questions):
            return self.table[questions.user]

    asks = Arrivals(
        candidates=9, catalogue="full", history=None, history_space=None, had="left_out", seed=0, draws="stored"
    )
    evaluator = DownstreamEvaluator(questions=asks, ks=[5], classes=4)
    for items, columns in ((4, ["accuracy", "nll"]), (30, ["hit@5", "mrr@5", "hit_all@5", "mrr_all@5"])):
        random = torch.Generator().manual_seed(1)
        labels = torch.randint(items, (90,), generator=random)
        candidates = torch.randint(items, (90, 9), generator=random, dtype=torch.int32)
        user, catalogue = torch.arange(90), torch.arange(items)
        test = Rankings(period=1, user=user, labels=labels, candidates=candidates, catalogue=catalogue)
        answer = evaluator.answer(Scores(items), 0, "test", test, torch.device("cpu"))
        kept = {key.removeprefix("1_test"): array for key, array in answer.kept.items()}
        kept = {key: array / 2 if key in answers.RANKS else array for key, array in kept.items()}
        means = {f"{row.metric}@{row.k}" if row.k else row.metric: row.value for row in answer.rows}

        for column in columns:
            assert answers.has_value(column)
            assert values(kept, column).mean() == pytest.approx(means[column])
        assert not any(map(answers.has_value, ("auc", "sampled_accuracy", "known_share")))


@pytest.mark.parametrize("column", ["hit@5", "mrr_all@5"])
def test_classes_have_no_ranks_of_items(column: str) -> None:
    arrays = {"": np.zeros(3), "_scores": np.zeros((3, 2)), "_label": np.zeros(3, dtype=np.int32)}

    with pytest.raises(ReportError, match=f"cannot compute {column}"):
        values(arrays, column)
