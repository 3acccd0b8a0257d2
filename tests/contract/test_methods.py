"""Every file of conf/method keeps the contract, under every kind of question it is for; a new one is found here."""

from functools import cache
from pathlib import Path

import pytest

from recretrain.configuration.compose import conf_dir
from recretrain.errors import ConfigError
from recretrain.testing import CHECKS, Case, case
from recretrain.testing.contract import (
    ORDINARY,
    answers_each_question_by_itself,
    learns_nothing_from_its_own_tests,
    learns_something,
    resumes_where_it_stopped,
)
from recretrain.testing.growth import grows_with_its_data
from recretrain.testing.unusual import UNUSUAL
from tests.contract.shipped import DERIVED, METHODS, SHIPPED

OF_QUESTIONS = (  # checks whose outcome may depend on what is asked; the others are made once for each method
    learns_nothing_from_its_own_tests,
    resumes_where_it_stopped,
    answers_each_question_by_itself,
)
CHANCE = {"random", "global_mean", "session_frozen"}  # what is to learn nothing, or of one short period alone
CASES = [
    (found, check)
    for name in METHODS
    for place, found in enumerate(SHIPPED[name])
    for check in (CHECKS if place == 0 else OF_QUESTIONS)
    if check is not learns_nothing_from_its_own_tests or "own_tests" in str(found)
    if check is not learns_something or name not in CHANCE
    if check not in (*UNUSUAL, grows_with_its_data) or name not in DERIVED
]


def test_there_are_methods_to_check() -> None:
    assert {"sml", "fine_tune", "full_retrain", "spmf", "frozen", "popularity"} <= set(METHODS)
    assert {"sml_n", "melu_5"} <= DERIVED
    assert not {"sml", "ader", "melu"} & DERIVED


def test_methods_are_checked_under_their_own_questions_and_schedules() -> None:
    asked = {str(found) for found, _ in CASES}

    assert "ader-eval:prefixes-schedule:next_period" in asked
    assert "melu-eval:episodes-schedule:states" in asked
    assert "fine_tune-eval:sampled-schedule:own_tests" in asked
    assert {found.name for found, _ in CASES} == set(METHODS)


composed = cache(case)
REGRESSION = ("method.classes=60", "method.strengths=[0.1,1]", "eval=full", "eval.questions.candidates=null")
OPTIONS = [  # choices that keep other state or read other rows
    ("fine_tune", ["method.learner.negatives=met"]),
    ("full_retrain", ["method.start=cold"]),
    ("spmf", ["method.pool_start=latest", "method.pool_size=50"]),
    (
        "sml",
        [
            "method.continues_from=own",
            "method.inactive_rows=kept",
            "method.fresh.adam=new",
            "method.fresh.negatives=period",
        ],
    ),
    ("sml", ["transfer@method.transfer.network=per_dimension", "method.transfer.adam=new"]),
    ("sml_gate", ["method.lessons_from=1", "schedule.warm_up=tests", "method.transfer.adam=carried"]),
    ("sml_gate_bpr", ["method.lessons_from=1", "schedule.warm_up=tests", "method.loops=2"]),
    ("sml_gate_next_item", ["backbone=gru4rec", "backbone.tied=false", "method.continues_from=own", "method.loops=2"]),
    ("sml_gate_next_item", ["backbone=caser", "method.inactive_rows=kept", "method.transfer.adam=carried"]),
    ("melu", ["method.local.order=second", "method.local.learning_rate=0.01", "method.local.steps=3"]),
    ("melu", ["method.local.adapts=all"]),
    ("melu", ["method.start=cold", "method.learner.drop_last=false"]),
    ("bag_of_items", [*REGRESSION, "schedule=next_period"]),
    ("bag_of_items", [*REGRESSION, "schedule=own_tests", "method.longest=3"]),
    (
        "catn",
        [
            "method.reads=new",
            "method.start=warm",
            "method.own_review=masked",
            "method.learner.batches=users",
            "backbone.words=frozen",
            "backbone.encoder_by=document",
        ],
    ),
    ("anr", ["method.reads=new", "method.start=warm", "method.user_bias=from_source"]),
    ("cmf", ["method.reads=new", "method.start=warm"]),
    ("emcdr", ["method.reads=first"]),
    ("session_fine_tune", ["method.learner.inputs=past", "method.start=cold"]),
    ("session_fine_tune", ["backbone=user_vectors", "method.learner.inputs=past"]),
    ("ader", ["backbone=user_vectors", "method.learner.inputs=past"]),
    ("ewc", ["backbone=user_vectors", "method.learner.inputs=past"]),
    ("ewc", ["backbone=caser"]),
    ("ader", ["method.distil=false", "method.memory.selection=loss", "method.memory.size=50"]),
    (
        "ader",
        [
            "method.weight_adapts=false",
            "method.memory.selection=random",
            "method.memory.quotas=equal",
            "method.learner.adam=new",
        ],
    ),
]


@pytest.mark.parametrize(
    ("name", "overrides"), OPTIONS, ids=lambda given: given if isinstance(given, str) else "options"
)
@pytest.mark.parametrize("check", ORDINARY[:-1], ids=lambda check: check.__name__)
def test_the_method_with_other_choices(name: str, overrides: list[str], check, tmp_path: Path) -> None:
    check(composed(name, *overrides), tmp_path / "stream")


@pytest.mark.parametrize(("found", "check"), CASES, ids=[f"{check.__name__}-{found}" for found, check in CASES])
def test_the_method(found: Case, check, tmp_path: Path) -> None:
    check(found, tmp_path / "stream")


EVALS = sorted(path.stem for path in (conf_dir() / "eval").glob("*.yaml"))


@pytest.mark.parametrize("option", EVALS)
def test_every_method_is_asked_what_it_is_for_or_refused_in_words(option: str) -> None:
    answered, refused = set(), {}
    for name in METHODS:
        try:
            case(name, f"eval={option}")
            answered.add(name)
        except ConfigError as refusal:
            refused[name] = str(refusal)

    assert [name for name, words in refused.items() if f"cannot answer eval={option}" not in words] == []

    rates = {"melu", "rating_biases"} & answered
    ranks = {"sml", "ader", "popularity"} & answered
    if option in ("episodes", "episodes_in_time"):
        assert (rates, ranks) == ({"melu", "rating_biases"}, set())
    elif option in ("cold_ratings", "cold_users"):
        assert (rates, ranks) == ({"rating_biases"}, set())
    else:
        assert (rates, ranks) == (set(), {"sml", "ader", "popularity"})
