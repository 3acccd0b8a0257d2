"""A metric of one's own is a function that the configuration names by `_target_`, with `_partial_`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose
from recretrain.data.kinds import Rankings, Ratings

CODE = """
def precision(rank, k):
    return (rank < k).double() / k

def beyond(predicted, rated, *, tolerance):
    return ((predicted - rated).abs() > tolerance).double().mean(1)
"""


@pytest.fixture(autouse=True)
def own_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_metrics.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


def evaluator(*overrides: str):
    config, _ = compose(list(overrides))
    return build(config.eval, "eval")


def test_a_metric_of_ranks_is_measured_at_every_cut_off_under_its_name() -> None:
    made = evaluator("eval.metrics=[recall,{_target_:own_metrics.precision,_partial_:true}]", "eval.ks=[1,2]")
    test = Rankings(period=7, user=torch.arange(3), labels=torch.arange(3))
    half = torch.tensor([0, 2, 6])  # ranks 0, 1, 3

    rows = {(row.metric, row.k): row.value for row in made.rows(4, "test", test, half, torch.zeros(3))}

    assert rows == {
        ("recall", 1): pytest.approx(1 / 3),
        ("recall", 2): pytest.approx(2 / 3),
        ("precision", 1): pytest.approx(1 / 3),
        ("precision", 2): pytest.approx((1 / 2 + 1 / 2 + 0) / 3),
    }


def test_a_metric_of_ratings_is_a_mean_over_questions_with_its_own_options() -> None:
    own = "{_target_:own_metrics.beyond,_partial_:true,tolerance:1.5}"
    made = evaluator("eval=episodes", f"eval.metrics=[mae,{own}]")
    test = Ratings(
        period=5,
        user=torch.tensor([0, 1]),
        labels=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        items=torch.tensor([[0, 1], [2, 3]]),
        groups={"second": torch.tensor([False, True])},
    )
    predicted = torch.tensor([[1.0, 2.0], [3.0, 8.0]], dtype=torch.float64)

    rows = {(row.group, row.metric, row.k): row.value for row in made.rows(3, "test", test, predicted)}

    assert rows == {
        ("all", "mae", 0): 1.0,
        ("all", "beyond", 0): 0.25,
        ("second", "mae", 0): 2.0,
        ("second", "beyond", 0): 0.5,
    }
