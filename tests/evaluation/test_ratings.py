"""Errors and orders of predicted ratings, by hand and against an independent library."""

import math

import pytest
import torch
from sklearn.metrics import ndcg_score

from recretrain.data.kinds import Questions, Ratings
from recretrain.data.questions import ColdRatings, SessionPrefixes
from recretrain.errors import ConfigError
from recretrain.evaluation.ratings import (
    RatingEvaluator,
    absolute_error,
    exponential,
    linear,
    ndcg,
    predictions,
    squared_error,
    squared_error_by_batch,
)

CPU = torch.device("cpu")
METRICS = ["mae", "mse", "rmse", "ndcg_lin", "ndcg_exp"]


def test_errors_are_a_users_mean():
    predicted, rated = torch.tensor([[1.0, 3.0], [2.0, 2.0]]), torch.tensor([[2.0, 5.0], [2.0, 2.0]])

    assert absolute_error(predicted, rated).tolist() == [1.5, 0.0]
    assert squared_error(predicted, rated).tolist() == [2.5, 0.0]


def test_ndcg_by_hand():
    # by prediction the ratings come as 3, 5, 1; the best order is 5, 3, 1
    predicted, rated = torch.tensor([[0.1, 0.9, 0.5]]), torch.tensor([[1.0, 3.0, 5.0]])

    assert ndcg(predicted, rated, 1, linear).item() == pytest.approx(3 / 5)
    assert ndcg(predicted, rated, 1, exponential).item() == pytest.approx(7 / 31)
    two = 1 / math.log2(3)
    assert ndcg(predicted, rated, 2, linear).item() == pytest.approx((3 + 5 * two) / (5 + 3 * two))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg_against_scikit_learn_with_ties(k):
    numbers = torch.Generator().manual_seed(k)
    predicted = torch.randint(4, (50, 10), generator=numbers).double()
    rated = torch.randint(1, 6, (50, 10), generator=numbers).double()

    ours = ndcg(predicted, rated, k, linear)

    for row in range(50):
        theirs = ndcg_score(rated[row : row + 1].numpy(), predicted[row : row + 1].numpy(), k=k)
        assert ours[row].item() == pytest.approx(theirs, abs=1e-12)


class Given:
    """Predicts what it is told."""

    def __init__(self, predicted: list[list[float]]) -> None:
        self.predicted = iter(torch.tensor(predicted).split(256))

    def score(self, questions: Questions) -> torch.Tensor:
        return next(self.predicted)


def two_users(groups: dict[str, torch.Tensor] | None = None) -> Ratings:
    items = torch.tensor([[0, 1], [2, 3]])
    rated = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    return Ratings(period=5, user=torch.tensor([0, 1]), labels=rated, items=items, groups=groups or {})


def test_figures_are_means_over_users_and_the_rmse_a_root_of_one():
    evaluator = RatingEvaluator(questions=ColdRatings(), ks=[1], metrics=METRICS)
    test = two_users({"second": torch.tensor([False, True])})

    rows, kept = evaluator.answer(Given([[1.0, 2.0], [3.0, 8.0]]), 3, "test", test, CPU)

    found = {(row.group, row.metric): (row.value, row.n) for row in rows}
    assert found["all", "mae"] == (1.0, 2)
    assert found["all", "mse"] == (4.0, 2)
    assert found["all", "rmse"] == (2.0, 2)
    assert found["second", "mae"] == (2.0, 1)
    assert found["second", "ndcg_lin"] == (1.0, 1)
    assert kept["5_test_predicted"].tolist() == [[1.0, 2.0], [3.0, 8.0]]
    assert kept["5_test_rated"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert kept["5_test:second"].tolist() == [False, True]
    assert kept["5_test_user"].tolist() == [0, 1]
    assert len(kept) == 4


def test_a_nan_is_not_a_rating():
    with pytest.raises(ValueError, match="ratings for period 5 hold NaN; lower the learning rates"):
        predictions(Given([[float("nan"), 1.0], [1.0, 1.0]]), two_users(), CPU)


def test_questions_that_are_not_ratings_are_refused():
    with pytest.raises(ConfigError, match=r"SessionPrefixes asks for rankings, which are no ratings; use eval=sampled"):
        RatingEvaluator(questions=SessionPrefixes(history=None), ks=[1], metrics=METRICS)


def test_the_mean_of_batch_means_counts_the_rows_of_a_short_last_batch_more():
    rated = torch.zeros(1024 + 2, 1)
    predicted = torch.cat([torch.ones(1024, 1), torch.full((2, 1), 3.0)]).double()

    value = squared_error_by_batch(predicted, rated.double()).mean()

    assert float(value) == pytest.approx((1 + 9) / 2)
