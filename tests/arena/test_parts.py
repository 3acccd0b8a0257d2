"""What the arena is put together from: words, spaces, the division of time, and the statistics of a table."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from recretrain.arena.clock import TooLong, at_most
from recretrain.arena.entrants import Entrant, field
from recretrain.arena.plan import planned, slices
from recretrain.arena.search import Trial, best_of, trials
from recretrain.arena.spaces import Dimension, space_of
from recretrain.arena.standings import Standing, cheapest_level, holm, pareto
from recretrain.arena.verdict import verdict
from recretrain.arena.wish import wish_of
from recretrain.errors import ConfigError
from recretrain.report.runs.averages import Average
from recretrain.report.runs.compare import Difference


def test_words_of_the_arena_are_told_from_overrides() -> None:
    wish = wish_of(["data=yelp", "methods=sml,spmf", "budget=90s", "trials=4", "seeds=2", "metric=ndcg@10", "seed=7"])

    assert wish.words == ["data=yelp", "seed=7"]
    assert (wish.methods, wish.seconds, wish.trials, wish.seeds, wish.metric) == (["sml", "spmf"], 90, 4, 2, "ndcg@10")
    assert wish_of([]).methods is None
    assert wish_of(["budget=2h"]).seconds == 7200


@pytest.mark.parametrize("word", ["budget=soon", "budget=0m", "budget=10", "trials=0", "seeds=two"])
def test_a_word_that_cannot_be_read_is_named(word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        wish_of([word])


@pytest.mark.parametrize(
    "entry",
    [
        {"among": [1, 2]},
        {"key": "method.x", "among": [1]},
        {"key": "method.x", "low": 2, "high": 1},
        {"key": "method.x", "low": 0, "high": 1, "log": True},
        {"key": "method.x", "low": 0.1, "high": 1, "step": 2},
        {"key": "method.x", "low": "a", "high": 1},
    ],
)
def test_an_entry_of_a_space_that_is_none_is_named(entry: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="conf/method/own"):
        space_of("own", [entry])


SPACE = [Dimension("method.rate", low=0.001, high=0.1, log=True), Dimension("method.loops", among=(1, 5))]


def test_own_settings_are_the_first_trial_and_the_best_is_found() -> None:
    asked: list[tuple[str, ...]] = []

    def measure(settings) -> float | None:
        asked.append(tuple(settings))
        return None if "method.loops=1" in settings else 0.2 + float(settings[0].partition("=")[2]) if settings else 0.1

    found = list(trials(Entrant("own", "", SPACE), 8, measure, lower=False))

    assert asked[0] == ()
    assert len(found) == len(set(asked)) == 8
    assert all(0.001 <= float(rate.partition("=")[2]) <= 0.1 for rate, _ in asked[1:])
    best = best_of(found, lower=False)
    assert best is not None
    assert best.value == max(trial.value for trial in found if trial.value is not None)
    assert best_of([Trial((), None)], lower=True) is None
    assert list(trials(Entrant("own", "", SPACE), 8, measure, lower=False)) == found  # the same again


def test_a_small_space_is_searched_once_and_no_more() -> None:
    few = Entrant("own", "", [Dimension("method.loops", among=(1, 5))])

    assert len([*trials(few, 30, lambda settings: 1.0, lower=True)]) == 3
    assert len([*trials(Entrant("own", "", ()), 30, lambda settings: 1.0, lower=True)]) == 1


def test_time_is_divided_into_final_runs_then_trials_then_seeds() -> None:
    took, choices = {"a": 10.0, "b": 20.0, "floor": 1.0}, {"a": True, "b": True, "floor": False}

    plan = planned(took, choices, 2.0, 400.0, seeds=3, trials=None)

    # first trials 31, a final run each 62: 307 left; half of it holds 5 rounds of 30; the rest, 157, two more seeds
    assert (plan.methods, plan.trials, plan.seeds) == (["a", "b", "floor"], 6, 3)
    assert plan.seconds == 31 + 5 * 30 + 3 * 62
    assert plan.seconds <= 400


def test_what_does_not_fit_is_left_out_slowest_first() -> None:
    took = {"slow": 100.0, "quick": 5.0, "middle": 30.0}

    assert planned(took, dict.fromkeys(took, True), 2.0, 120.0, seeds=1, trials=1).methods == ["middle", "quick"]
    assert planned(took, dict.fromkeys(took, True), 2.0, 1.0, seeds=3, trials=2).methods == ["quick"]


def test_slices_of_time_double() -> None:
    assert list(islice(slices(1200.0), 3)) == [12.0, 24.0, 48.0]
    assert next(slices(60.0)) == 10.0


def test_a_run_is_stopped_when_its_time_is_over() -> None:
    with pytest.raises(TooLong), at_most(0.05):
        time.sleep(5)
    with at_most(0.05):
        pass
    time.sleep(0.1)  # no alarm is left


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def standing(method: str, mean: float, seconds: float, adjusted: float | None = None) -> Standing:
    difference = None if adjusted is None else Difference(-0.1, (-0.2, 0.0), adjusted, 10, 5)
    return Standing(method, Average(mean, None, 1), None, seconds, {}, difference, adjusted)


def test_the_cheapest_of_those_that_are_level_is_taken() -> None:
    found = [standing("a", 0.5, 9.0), standing("b", 0.49, 2.0, 0.4), standing("c", 0.3, 0.1, 0.001)]

    assert cheapest_level(found).method == "b"
    assert [one.method for one in pareto(found)] == ["a", "b", "c"]
    assert [one.method for one in pareto([*found, standing("d", 0.2, 0.5, 0.001)])] == ["a", "b", "c"]
    said = verdict(found, {"melu": "rates"}, "recall@20")
    assert said[0] == "a has the highest recall@20, 0.5000 over 1 seed."
    assert said[1].startswith("For what it costs b is best: recall@20 0.4900 with 2.0 CPU seconds a period, 4 times")
    assert said[2].startswith("Within noise of a (paired over users, 5% for all comparisons together): b")
    assert said[3] == "Not asked, as they answer other questions: melu."
    assert verdict(found, {}, "recall@20", {"sml": "slow", "ader": "slow"})[3].endswith("failed: ader, sml.")


def test_a_cost_that_is_told_alike_is_no_reason_for_a_worse_method() -> None:
    found = [standing("a", 0.5, 0.0031), standing("b", 0.2, 0.0001, 0.001)]
    dearer = [standing("a", 0.5, 0.31), standing("b", 0.2, 0.0001, 0.001)]

    assert verdict(found, {}, "recall@20")[1] == "Nothing is cheaper than its 0.00 CPU seconds a period: take a."
    assert "unless b at 0.00 is good enough (0.2000)" in verdict(dearer, {}, "recall@20")[1]


def test_what_was_not_compared_is_level_with_nothing() -> None:
    found = [standing("a", 0.5, 9.0), standing("b", 0.49, 2.0)]

    assert cheapest_level(found).method == "a"
    assert "cannot be said" in verdict(found, {}, "recall@20")[2]


def test_methods_enter_by_the_questions_they_answer() -> None:
    rated = field(["data=movielens_timed", "eval=episodes_in_time"], None)

    assert {"melu", "rating_biases"} <= {one.method for one in rated.entrants}
    assert "fine_tune" in rated.unfit
    assert "melu_5" not in {one.method for one in rated.entrants}  # a variant, without a search of its own
    entrants = field(["data=yelp", "eval=sampled"], None).entrants
    assert [one.method for one in entrants if one.is_floor] == ["frozen", "label_frequency", "popularity", "recent"]
    assert [one.is_floor for one in entrants] == [True] * 4 + [False] * (len(entrants) - 4)
    names = [one.method for one in entrants]
    assert max(map(names.index, ("fine_tune", "sml", "spmf", "popularity"))) < min(
        map(names.index, ("ader", "gru4rec"))
    )
    with pytest.raises(ConfigError, match="no method 'sm'"):
        field(["data=yelp"], ["sm"])
