"""The runs that a table's own commands made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recretrain.report.runs.reading import read_runs
from recretrain.report.runs.recipes import chosen

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

ONE = {"recall@20": {33: (0.5, 10)}}


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


def test_numbers_of_a_list_are_numbers_too(runs):
    runs.add("sml", ONE, overrides=["method.rates=[0.001,0.003]"])
    runs.add("sml", ONE, overrides=["method.rates=[0.001]"])

    (run,) = chosen(read_runs(runs.outputs), ["method=sml method.rates=[1e-3,3e-3]"])

    assert run.overrides == ("method.rates=[0.001,0.003]",)
