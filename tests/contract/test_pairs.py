"""Every method with every kind of data: it answers what is asked there, or is refused by name at once."""

from __future__ import annotations

import pytest

from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.options import options
from recretrain.configuration.signatures import check
from recretrain.engine.build import check_settings
from recretrain.errors import Unfit

DATA = ("yelp", "diginetica", "movielens", "movielens_timed", "qq", "amazon_pair")  # one of each kind of questions


def fits(method: str, data: str) -> bool:
    """Whether a method can answer what is asked on these data; a refusal must name both."""
    config, choices = compose([f"method={method}", f"data={data}"])
    check(config)
    try:
        check_settings(config, choices)
    except Unfit as refusal:
        words = str(refusal)
        assert f"method={method}" in words or "trains a backbone" in words
        assert f"data={data}" in words or "trains a backbone" in words
        assert "\n" not in words
        return False
    return True


@pytest.mark.parametrize(
    ("method", "data", "fit"),
    [
        ("popularity", "movielens", False),
        ("sml", "movielens", False),
        ("rating_biases", "diginetica", False),
        ("popularity", "yelp", True),
        ("melu", "movielens", True),
    ],
)
def test_ratings_are_not_ranked_and_rankings_not_rated(method: str, data: str, fit: bool) -> None:
    assert fits(method, data) is fit


@pytest.mark.slow
@pytest.mark.parametrize("data", DATA)
def test_every_method_answers_or_is_refused_by_name(data: str) -> None:
    methods = list(options(conf_dir(), "method"))
    fitting = [method for method in methods if fits(method, data)]

    assert len(methods) > 50
    assert 0 < len(fitting) < len(methods)
