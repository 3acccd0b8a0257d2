"""Every method with every kind of data: it answers what is asked there, or is refused by name at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.options import options
from recretrain.configuration.signatures import check
from recretrain.engine.build import check_settings
from recretrain.errors import Unfit
from recretrain.testing import case, learn

ROOT = Path(__file__).parents[2]

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


def pairs() -> list[tuple[str, str]]:
    """The methods and backbones of each row of the table of docs/methods."""
    table = (ROOT / "docs/methods/README.md").read_text().partition("## Which backbone")[2]
    rows = [
        re.findall(r"`(\w+)`", cell)
        for line in table.splitlines()
        if line.startswith("| `")
        for cell in line.split("|")
    ]
    found = [cell for cell in rows if cell]
    return [
        (method, backbone)
        for methods, backbones in zip(found[::2], found[1::2], strict=True)
        for method in methods
        for backbone in backbones
    ]


def test_the_table_of_backbones_names_each_that_more_than_one_method_trains() -> None:
    assert {backbone for _, backbone in pairs()} == {
        *("mf", "ader_sasrec", "sasrec", "gru4rec", "caser", "user_vectors", "nextitnet", "grec", "sasrec_trunk")
    }


@pytest.mark.slow
@pytest.mark.parametrize(("method", "backbone"), pairs())
def test_a_method_trains_the_backbones_that_the_table_gives_it(method: str, backbone: str, tmp_path: Path) -> None:
    found = case(method, f"backbone={backbone}")
    stream = found.stream(tmp_path / "s")
    made, answers = found.method(stream), []
    for task in found.tasks(stream):
        learn(made, task)
        answers += [found.answers(made, test) for test in task.tests().values()]

    assert answers
    assert all(len(answer) and torch.isfinite(answer.double()).all() for answer in answers)
