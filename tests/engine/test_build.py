"""From a configuration to an experiment; a method that cannot answer what is asked is refused before data are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recretrain.backbones.mf import MF
from recretrain.configuration.compose import compose
from recretrain.data.kinds import Histories, Rankings, Ratings, SupportedRatings
from recretrain.data.schedule import OwnTests
from recretrain.engine.build import Settings, check_kinds, experiment, kinds_of, method_of, plain
from recretrain.errors import ConfigError
from recretrain.evaluation.rankings import RankEvaluator
from recretrain.methods.sml import SML
from recretrain.testing.streams import open_stream, write_stream

CPU = torch.device("cpu")


def settings(*words: str) -> Settings:
    config, _ = compose(list(words))
    return settings_of(config)


def settings_of(config) -> Settings:
    return Settings(plain(config.backbone), plain(config.method), plain(config.eval.questions))


def made(tmp_path: Path, *words: str):
    places = [f"paths.{name}={tmp_path / name}" for name in ("data", "cache", "outputs")]
    config, choices = compose([*places, *words])
    return experiment(config, choices=choices, overrides=words)


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (["method=sml"], {Rankings}),
        (["method=fine_tune"], {Rankings}),
        (["method=popularity"], {Rankings}),
        (["method=ader"], {Histories}),
        (["method=caser"], {Histories}),
        (["method=melu"], {SupportedRatings, Ratings}),
        (["method=ppr"], {Ratings}),
        (["method=item_mean"], {Ratings}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_kinds_are_those_of_the_method_its_learners_and_its_backbone(words, kinds):
    assert set(kinds_of(settings(*words))) == kinds


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["method=melu", "eval=full"],
            r"method=melu cannot answer eval=full on data=yelp: MeLU is for ratings of items with some of the user's "
            r"ratings given, and rankings of items are asked; choose another eval, or a method for such data "
            r"\(`recretrain list methods`\)",
        ),
        (
            ["method=rating_biases", "eval=sampled"],
            r"method=rating_biases cannot answer eval=sampled on data=yelp: \w+ is for ratings of items, and rankings",
        ),
        (
            ["method=melu", "eval=cold_ratings"],
            r"MeLU is for ratings of items with some of the user's ratings given, and ratings of items are asked",
        ),
        (
            ["method=sml", "eval=episodes", "data=movielens"],
            r"method=sml cannot answer eval=episodes on data=movielens: MF is for rankings of items, and ratings of "
            r"items with some of the user's ratings given are asked",
        ),
        (
            ["method=ader", "eval=sampled", "needs.history=null"],
            r"\w+ is for rankings of items with the user's last items given, and rankings of items are asked",
        ),
        (["method=popularity", "eval=cold_ratings"], r"ItemScores is for rankings of items, and ratings of items are"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_method_that_cannot_answer_is_refused_before_data_are_read(tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        made(tmp_path, "data.source=raw", *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["method=item_mean", "eval=cold_ratings"],
        ["method=item_mean", "eval=episodes"],
        ["method=sml", "eval=prefixes"],
        ["method=popularity", "eval=full"],
        ["method=caser", "eval=sampled"],
        ["method=melu", "eval=episodes_in_time"],
    ],
    ids=" ".join,
)
def test_a_method_that_needs_less_than_is_asked_with_may_answer(words):
    config, choices = compose(words)
    from recretrain.configuration.build import build

    check_kinds(settings_of(config), build(config.eval, "eval"), choices)


CLICKS = "user,item,timestamp\n" + "".join(f"{n % 5},{n % 7},{n}\n" for n in range(60))


def test_an_experiment_is_built_whole_and_its_data_are_prepared(tmp_path):
    (tmp_path / "clicks.csv").write_text(CLICKS)
    table = ["data=table", f"data.path={tmp_path / 'clicks.csv'}", "data.name=tiny", "data.cut.periods=4"]
    words = ["eval.questions.candidates=3", "schedule=next_period", "schedule.first_test=2", "schedule.start=1"]
    words += ["schedule.choosing=1", "eval.ks=[1,2]"]

    asked = made(tmp_path, *table, *words, "trainer.device=cpu", "trainer.precision=bf16-mixed", "seed=3")

    assert len(asked.stream) == 4
    assert isinstance(asked.evaluator, RankEvaluator)
    assert asked.stream.asks is asked.evaluator.questions
    assert asked.machine.device == CPU
    assert asked.names.seed == 3
    assert asked.names.choices["method"] == "sml"
    assert asked.names.overrides == [*table[2:], *words, "trainer.precision=bf16-mixed"]
    assert asked.pretrained == tmp_path / "outputs" / ".pretrained"
    assert len(asked.schedule.tasks(asked.stream, lambda what, rows: None)) == 3
    method = asked.method()
    assert isinstance(method, SML)
    assert method.backbone.user.shape == (5, 64)


def test_first_weights_are_the_seeds(tmp_path):
    stream = open_stream(write_stream(tmp_path / "s", [([0, 1], [0, 1])], n_users=2, n_items=2))
    popular = settings("method=fine_tune", "backbone.embedding_size=4")

    first, again, other = (method_of(popular, stream, seed, CPU).backbone for seed in (0, 0, 1))

    assert isinstance(first, MF)
    assert torch.equal(first.user, again.user)
    assert not torch.equal(first.user, other.user)


def test_a_schedule_is_built_of_its_node(tmp_path):
    config, _ = compose(["schedule=own_tests"])
    from recretrain.configuration.build import build

    schedule = build(config.schedule, "schedule")

    assert isinstance(schedule, OwnTests)
    assert schedule.learned is None
