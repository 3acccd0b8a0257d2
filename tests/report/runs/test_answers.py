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

    assert ERRORS.keys() == answers.ERRORS.keys() | {"rmse"}
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
