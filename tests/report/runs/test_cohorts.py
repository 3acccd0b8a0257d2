"""Runs that meet in a table, and their names in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recretrain.report.runs.cohorts import cohorts
from recretrain.report.runs.reading import read_runs
from tests.report.folders import FULL, PREFIXES, SAMPLED

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

ONE = {"recall@20": {33: (0.5, 10)}}


def labels(outputs: Path) -> list[list[str]]:
    return [sorted(cohort.settings()) for cohort in cohorts(read_runs(outputs))]


@pytest.mark.parametrize(
    "other",
    [
        {"data": "globo"},
        {"data_source": "synthetic"},
        {"data_digest": "other"},
        {"tested": [33]},
        {"choosing": [31, 32]},
        {"asked": {**SAMPLED, "candidates": 99}},
        {"asked": {**SAMPLED, "seed": 1}},
        {"asked": FULL},
        {"asked": PREFIXES},
    ],
)
def test_runs_that_answered_other_questions_get_a_table_of_their_own(runs: RunFolders, other: dict[str, Any]) -> None:
    runs.add("sml", ONE)
    runs.add("spmf", ONE)
    runs.add("fine_tune", ONE, **other)

    assert sorted(labels(runs.outputs)) == [["fine_tune"], ["sml", "spmf"]]


def test_seeds_of_one_variant_are_one_setting(runs: RunFolders) -> None:
    for seed in (2, 0, 1):
        runs.add("sml", ONE, seed=seed, variant="v", overrides=["method.loops=2", f"seed={seed}", "paths.outputs=o"])

    (cohort,) = cohorts(read_runs(runs.outputs))

    assert [(label, [run.seed for run in same]) for label, same in cohort.settings().items()] == [("sml", [0, 1, 2])]


def test_variants_are_told_apart_by_the_overrides_they_do_not_share(runs: RunFolders) -> None:
    shared = ["method=sml", "method.loops=2"]
    runs.add("sml", ONE, overrides=shared)
    runs.add("sml", ONE, overrides=[*shared, "method.continues_from=own", "trainer.threads=1"])
    runs.add("spmf", ONE, overrides=["method.learner.epochs=3"])

    assert labels(runs.outputs) == [["sml", "sml (continues_from=own)", "spmf"]]


def test_variants_with_the_same_overrides_are_told_apart_by_their_digest(runs: RunFolders) -> None:
    runs.add("sml", ONE, variant="1111119")
    runs.add("sml", ONE, variant="2222229")

    assert labels(runs.outputs) == [["sml [111111]", "sml [222222]"]]


def test_keys_are_named_by_as_many_of_their_last_parts_as_tell_them_apart(runs: RunFolders) -> None:
    runs.add("sml", ONE, overrides=["method.fresh.epochs=2", "method.fresh.batch_size=64"])
    runs.add("sml", ONE, overrides=["method.transfer.epochs=2"])
    runs.add("spmf", ONE, overrides=["eval.ks=[5,10]"])
    runs.add("spmf", ONE)

    assert labels(runs.outputs) == [
        ["sml (fresh.epochs=2, batch_size=64)", "sml (transfer.epochs=2)", "spmf", "spmf (ks=[5,10])"]
    ]


def test_a_method_alone_means_its_plainest_variant(runs: RunFolders) -> None:
    runs.add("sml", ONE, overrides=["method.loops=2", "method.fresh.epochs=3"])
    runs.add("sml", ONE, overrides=["method.loops=5"])

    (cohort,) = cohorts(read_runs(runs.outputs))

    assert cohort.label_of("sml") == "sml (loops=5)"
    assert cohort.label_of("sml (loops=2, epochs=3)") == "sml (loops=2, epochs=3)"
    assert cohort.label_of("ader") is None


def test_the_card_of_the_questions_alone_says_which_runs_meet(runs: RunFolders) -> None:
    own = {"kind": "pairs", "text": "pairs of films", "unit": "pairs", "films": [1, 2], "by": {"year": 1999}}
    runs.add("sml", ONE, asked=own, eval="pairs")
    runs.add("spmf", ONE, asked=dict(reversed(own.items())), eval="pairs_read_twice")
    runs.add("ewc", ONE, asked={**own, "films": [2, 1]})

    assert sorted(labels(runs.outputs)) == [["ewc"], ["sml", "spmf"]]


def test_a_setting_is_named_by_what_changes_results(runs: RunFolders) -> None:
    without_effect = ["trainer.device=cpu", "schedule.last_test=35", "+data.about.summary=words", "logger=none"]
    runs.add("sml", ONE, variant="v", overrides=without_effect)
    runs.add("sml", ONE, variant="w", overrides=["trainer.precision=64", "pretraining@method.pretraining=mf"])

    assert labels(runs.outputs) == [["sml", "sml (precision=64, pretraining=mf)"]]


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("data.filters.k_core=5", True),
        ("+data.filters.k_core=5", True),
        ("cut@data.cut=months", True),
        ("data.cut.periods=12", True),
        ("data.path=/elsewhere", False),
        ("data.source=raw", False),
        ("data=yelp", False),
        ("data.about.summary=words", False),
        ("schedule.start=3", False),
    ],
)
def test_data_are_changed_by_what_shapes_them(runs: RunFolders, override: str, changed: bool) -> None:
    runs.add("sml", ONE, overrides=[override])

    (cohort,) = cohorts(read_runs(runs.outputs))

    assert cohort.changed_data() == ([override] if changed else [])
