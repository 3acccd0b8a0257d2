"""Worlds whose truth is known: the verdict must find it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from recretrain.arena.arena import Arena, Outcome, RunOne
from recretrain.arena.figures import figure_of
from recretrain.arena.forgetting import memory_of
from recretrain.arena.repeat import command
from recretrain.arena.standings import Standing, cheapest_level
from recretrain.arena.wish import wish_of
from recretrain.commands.arena import QUIET
from recretrain.commands.run import one
from recretrain.configuration.compose import conf_dir
from recretrain.errors import ConfigError

USERS, ITEMS, TASTES, PERIODS, ROWS = 150, 60, 6, 7, 1500
ASKED = [
    *("data=table", "data.name=planted", f"data.cut.periods={PERIODS}", "schedule=next_period", "schedule.start=3"),
    *("schedule.first_test=4", "schedule.choosing=1", "eval.questions.candidates=30", "eval.ks=[5]"),
    *("eval.questions.had=offered", "data.filters.repeats=keep", "trainer.threads=1", "seeds=2"),
]
SGD = [f"method.{part}.{key}" for part in ("pretraining",) for key in ("epochs=40", "learning_rate=0.02")]


def world(file: Path, *, drifts: bool) -> None:
    """Users of a taste take items of it; with drift every user has another one from period 4 on."""
    random = np.random.default_rng(0)
    taste = random.integers(TASTES, size=USERS)
    lines = ["user,item,timestamp"]
    for period in range(PERIODS):
        now = (taste + drifts * (period >= 4)) % TASTES
        for row in range(ROWS):
            user = random.integers(USERS)
            item = random.integers(ITEMS // TASTES) * TASTES + now[user]
            lines.append(f"u{user},i{item},{1_600_000_000 + (period * ROWS + row) * 60}")
    file.write_text("\n".join(lines) + "\n")


def held(folder: Path, methods: Sequence[str], *more: str, run: RunOne | None = None) -> Outcome:
    words = ["trials=1", *ASKED, f"data.path={folder / 'rows.csv'}", f"methods={','.join(methods)}", *SGD, *more]
    paths = [f"paths.outputs={folder / 'out'}", f"paths.cache={folder / 'cache'}"]
    return Arena(wish_of([*words, *paths]), run or (lambda overrides: one([*overrides, QUIET]))).held()


def by_method(outcome: Outcome) -> Mapping[str, Standing]:
    return {standing.method: standing for standing in outcome.standings}


@pytest.fixture(scope="module")
def drifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drifting")
    world(folder / "rows.csv", drifts=True)
    return folder


def test_where_nothing_changes_the_frozen_model_is_taken(tmp_path: Path) -> None:
    world(tmp_path / "rows.csv", drifts=False)

    outcome = held(tmp_path, ["frozen", "fine_tune"])

    found = by_method(outcome)
    assert found["frozen"].figure.mean > 0.4
    assert cheapest_level(outcome.standings).method == "frozen"
    assert "take frozen" in " ".join(outcome.verdict)


def test_a_question_that_no_floor_can_answer_is_refused_once_before_others_are_tried(drifting: Path) -> None:
    tried: list[str] = []

    def run(overrides: Sequence[str]) -> Path:
        tried.extend(word for word in overrides if word.startswith("method="))
        return one([*overrides, QUIET])

    with pytest.raises(ConfigError, match=r"no method could be run; .*eval\.questions\.candidates=999") as refused:
        held(drifting, ["frozen", "fine_tune"], "eval.questions.candidates=999", run=run)

    assert str(refused.value).count("candidates=999") == 1
    assert tried == ["method=frozen"]


def test_where_tastes_drift_retraining_is_taken_and_the_frozen_model_is_not_level(drifting: Path) -> None:
    outcome = held(drifting, ["frozen", "fine_tune"])

    frozen = by_method(outcome)["frozen"]
    assert outcome.standings[0].method == "fine_tune"
    assert frozen.to_best is not None
    assert frozen.to_best.interval[1] < 0
    assert not frozen.level
    assert "take fine_tune" in " ".join(outcome.verdict)


def test_of_a_method_and_its_copy_no_difference_is_claimed(drifting: Path, tmp_path: Path) -> None:
    shutil.copytree(conf_dir() / "method", tmp_path / "own" / "method", ignore=shutil.ignore_patterns("[!f]*"))
    (tmp_path / "own" / "method" / "fine_tune.yaml").rename(tmp_path / "own" / "method" / "twin.yaml")

    outcome = held(drifting, ["fine_tune", "twin"], f"hydra.searchpath=[file://{tmp_path / 'own'}]")

    first, second = outcome.standings
    assert {first.method, second.method} == {"fine_tune", "twin"}
    assert second.to_best is not None
    assert (second.to_best.mean, second.adjusted, second.level) == (0.0, 1.0, True)
    assert "Within noise" in outcome.verdict[2]


def test_what_is_asked_again_tells_what_was_kept(drifting: Path) -> None:
    outcome = held(drifting, ["frozen", "fine_tune"], "schedule.again=2")

    frozen, tuned = (memory_of(outcome.finals[method], "recall@5") for method in ("frozen", "fine_tune"))
    assert frozen is not None
    assert tuned is not None
    assert frozen.matrix[5][4] == frozen.matrix[5][5]  # before and after that period was learned
    assert tuned.matrix[5][5] > tuned.matrix[5][4]
    assert tuned.learned == tuned.matrix[5][5]
    assert tuned.backward is None  # the last task learns period 5: nothing comes later
    assert tuned.forward == pytest.approx((tuned.matrix[5][4] + tuned.matrix[6][5]) / 2)


def test_no_trial_sees_a_tested_period_and_all_methods_have_as_many(drifting: Path) -> None:
    asked: list[Sequence[str]] = []

    def run(overrides: Sequence[str]) -> Path:
        asked.append(overrides)
        return one([*overrides, QUIET])

    outcome = held(drifting, ["fine_tune", "spmf"], "trials=3", run=run)

    finals = [words for words in asked if any(word.startswith("seed=") for word in words)]
    trials = [words for words in asked if words not in finals]
    assert all("schedule.last_test=4" in words for words in trials)
    assert not any(word.startswith("schedule.last_test") for words in finals for word in words)
    assert {method: len(found) for method, found in outcome.searched.items()} == {"fine_tune": 3, "spmf": 3}
    for method, found in outcome.searched.items():
        best = max(found, key=lambda trial: trial.value or 0.0)
        assert {figure_of(run, "recall@5", "choosing") for run in outcome.finals[method] if run.seed == 0} == {
            best.value
        }


def test_a_spent_budget_leaves_all_methods_as_many_trials_and_going_on_repeats_them(
    drifting: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials ask for starts of their own, each as dear as a floor's: they would add up to many times the budget."""
    planned = Arena._plan
    monkeypatch.setattr(Arena, "_plan", lambda arena, *given: replace(planned(arena, *given), trials=4))
    words = [*ASKED, f"data.path={drifting / 'rows.csv'}", "data.name=short", "methods=frozen,fine_tune", *SGD]
    paths = [f"paths.outputs={drifting / 'out'}", f"paths.cache={drifting / 'cache'}"]

    def spent_after(rounds: int) -> Outcome:
        def left(arena: Arena) -> float:
            return 600.0 if arena._notes.get(f"rounds {arena.wish}", 0) < rounds else -1.0

        monkeypatch.setattr(Arena, "_left", left)
        return Arena(wish_of([*words, *paths]), lambda overrides: one([*overrides, QUIET])).held()

    outcome, again = spent_after(2), spent_after(0)

    assert {method: len(found) for method, found in outcome.searched.items()} == {"frozen": 2, "fine_tune": 2}
    assert again.searched == outcome.searched
    assert "trials=2 " in command(outcome)


def test_two_processes_do_not_hold_one_arena(drifting: Path) -> None:
    def run(overrides: Sequence[str]) -> Path:
        (lock,) = (drifting / "out" / "arena").glob("alone-*/arena.lock")
        with pytest.raises(Timeout), FileLock(lock, timeout=0):
            pass
        return one([*overrides, QUIET])

    held(drifting, ["frozen"], "data.name=alone", run=run)


def test_an_arena_goes_on_with_what_it_has_decided(drifting: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds of a first trial are those of the day it ran: a second time it takes none."""
    before = held(drifting, ["frozen", "fine_tune"])

    again = held(drifting, ["frozen", "fine_tune"])

    assert again.plan == before.plan
    assert [one.figure for one in again.standings] == [one.figure for one in before.standings]
    assert again.verdict == before.verdict
