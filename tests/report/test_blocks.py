"""Which runs meet in a table, and what they are called there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recretrain.report.blocks import blocks
from recretrain.report.recipes import chosen
from recretrain.report.rows import read_runs

if TYPE_CHECKING:
    from tests.report.conftest import RunFolders

ONE = {"recall@20": {33: (0.5, 10)}}


def labels(outputs: Path) -> list[list[str]]:
    return [sorted(block.settings()) for block in blocks(read_runs(outputs))]


@pytest.mark.parametrize(
    "other",
    [
        {"data": "globo"},
        {"source": "synthetic"},
        {"digest": "other"},
        {"tested": [33]},
        {"choosing": [31, 32]},
        {"candidates": 99},
        {"catalogue": "full"},
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

    (block,) = blocks(read_runs(runs.outputs))

    assert [(label, [run.seed for run in same]) for label, same in block.settings().items()] == [("sml", [0, 1, 2])]


def test_variants_are_told_apart_by_the_overrides_they_do_not_share(runs: RunFolders) -> None:
    shared = ["method=sml", "method.loops=2"]
    runs.add("sml", ONE, overrides=shared)
    runs.add("sml", ONE, overrides=[*shared, "method.fresh_continues_from=own", "trainer.threads=1"])
    runs.add("spmf", ONE, overrides=["method.epochs=3"])

    assert labels(runs.outputs) == [["sml", "sml (fresh_continues_from=own)", "spmf"]]


def test_variants_with_the_same_overrides_are_told_apart_by_their_digest(runs: RunFolders) -> None:
    runs.add("sml", ONE, variant="1111119")
    runs.add("sml", ONE, variant="2222229")

    assert labels(runs.outputs) == [["sml [111111]", "sml [222222]"]]


def test_a_method_alone_means_its_plainest_variant(runs: RunFolders) -> None:
    runs.add("sml", ONE, overrides=["method.loops=2", "method.fresh_epochs=3"])
    runs.add("sml", ONE, overrides=["method.loops=5"])

    (block,) = blocks(read_runs(runs.outputs))

    assert block.label_of("sml") == "sml (loops=5)"
    assert block.label_of("sml (loops=2, fresh_epochs=3)") == "sml (loops=2, fresh_epochs=3)"
    assert block.label_of("ader") is None


def test_the_runs_of_a_tables_own_commands_stand_for_their_method(runs: RunFolders) -> None:
    runs.add("sml", ONE, overrides=["experiment=e", "method=sml", "method.loops=2", "method.transfer_filters=[10,5]"])
    runs.add("sml", ONE, overrides=["experiment=e", "method=sml", "method.loops=5", "method.transfer_filters=[10,5]"])
    runs.add("fine_tune", ONE, overrides=["method=fine_tune"])
    commands = ["experiment=e method=sml,spmf seed=0,1 method.loops=2,3 method.transfer_filters=[10,5]"]

    found = chosen(read_runs(runs.outputs), commands)

    assert [(run.method, run.overrides[2:3]) for run in found] == [("fine_tune", ()), ("sml", ("method.loops=2",))]


def test_a_number_is_the_same_however_it_is_written(runs: RunFolders) -> None:
    runs.add("sml", ONE, overrides=["method.reg=0.0001"])
    runs.add("sml", ONE, overrides=["method.reg=0.001"])

    (run,) = chosen(read_runs(runs.outputs), ["method=sml method.reg=1e-4"])

    assert run.overrides == ("method.reg=0.0001",)


def test_a_sweep_writes_false_with_a_capital(runs: RunFolders) -> None:
    runs.add("sml", ONE, overrides=["method.adam=False"])
    runs.add("sml", ONE, overrides=["method.adam=True"])

    (run,) = chosen(read_runs(runs.outputs), ["method=sml method.adam=false"])

    assert run.overrides == ("method.adam=False",)
