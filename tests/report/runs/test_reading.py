"""An outputs folder is read; runs of another format and other files are left out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_floors import NAMES

from recretrain.errors import ReportError
from recretrain.report import render
from recretrain.report.runs.reading import read_runs, tidy

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

ONE = {"recall@20": {33: (0.5, 10)}}


def test_rows_of_all_tasks_become_one_tidy_frame(runs: RunFolders) -> None:
    runs.add("sml", {"recall@20": {33: (0.5, 10), 34: (0.25, 4)}, "ndcg@5": {33: (0.1, 10)}}, seed=3)

    found = read_runs(runs.outputs)
    frame = tidy(found, {found[0].variant: "ours"})

    rows = frame[["task", "period", "metric", "k", "value", "n", "label", "seed"]].values.tolist()
    assert sorted(rows, key=str) == [
        [0, 33, "ndcg", 5, 0.1, 10, "ours", 3],
        [0, 33, "recall", 20, 0.5, 10, "ours", 3],
        [1, 34, "recall", 20, 0.25, 4, "ours", 3],
    ]


def test_a_run_json_of_another_program_is_left_out(runs: RunFolders) -> None:
    runs.add("sml", ONE)
    for name, text in {"other": '{"model": "bert"}', "broken": "{", "list": "[1]"}.items():
        folder = runs.outputs / name
        folder.mkdir()
        (folder / "run.json").write_text(text)

    assert [run.method for run in read_runs(runs.outputs)] == ["sml"]


def test_runs_of_another_format_are_left_out_with_one_warning_that_names_the_folder(
    runs: RunFolders, caplog: pytest.LogCaptureFixture
) -> None:
    old = [runs.add("sml", ONE, seed=seed, format=1) for seed in range(3)]
    new = runs.add("sml", ONE, seed=3)

    assert [run.folder for run in read_runs(runs.outputs)] == [new]
    assert caplog.messages == [f"left out {old[0]} and 2 more: written by another version of recretrain"]


def test_a_card_without_all_its_facts_is_not_read(runs: RunFolders, caplog: pytest.LogCaptureFixture) -> None:
    card = runs.add("sml", ONE) / "run.json"
    card.write_text(card.read_text().replace('"asked"', '"questions"'))

    assert read_runs(runs.outputs) == []
    assert "written by another version of recretrain" in caplog.text


def test_a_task_that_was_being_written_does_not_count(runs: RunFolders) -> None:
    folder = runs.add("sml", ONE)
    shutil.copytree(folder / "tasks" / "0", folder / "tasks" / ".1-unfinished")
    shutil.copytree(folder / "tasks" / "0", folder / "tasks" / "1.part")

    (run,) = read_runs(runs.outputs)

    assert run.done == 1
    assert len(run.rows) == 1


def test_a_task_without_questions_has_no_rows_but_is_done(runs: RunFolders) -> None:
    folder = runs.add("sml", ONE, tasks=2)
    empty = folder / "tasks" / "1"
    shutil.copytree(folder / "tasks" / "0", empty)
    (empty / "rows.csv").write_text("task,period,test,group,metric,k,value,n\n")

    (run,) = read_runs(runs.outputs)

    assert run.complete
    assert len(run.rows) == 1


def test_an_unfinished_run_is_named_with_its_reason_and_stands_in_no_table(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("fine_tune", {"recall@20": {33: (0.25, 10)}})
    folder = runs.add("sml", ONE, tasks=7)
    (folder / "error.txt").write_text("Traceback\n  ...\nValueError: scores hold NaN\n")

    text = render(runs.outputs, conf_dir=conf_dir)

    assert "0.5000" not in text
    assert f"{folder}: 1 of 7 tasks; failed: ValueError: scores hold NaN" in text


def test_a_copy_of_a_run_is_not_another_seed(runs: RunFolders) -> None:
    folder = runs.add("sml", ONE)
    shutil.copytree(folder, runs.outputs / "backup")

    assert len(read_runs(runs.outputs)) == 1


def test_runs_can_be_selected_by_their_facts(runs: RunFolders) -> None:
    runs.add("sml", ONE)
    runs.add("spmf", ONE)
    runs.add("sml", ONE, data="globo")

    def found(only: dict[str, str]) -> list[tuple[str, str]]:
        return [(run.asked.data, run.method) for run in read_runs(runs.outputs, only)]

    assert found({"data": "globo"}) == [("globo", "sml")]
    assert found({"data": "yelp", "method": "spmf,sml"}) == [("yelp", "sml"), ("yelp", "spmf")]
    with pytest.raises(ReportError, match="'dat'; choose from data, method"):
        found({"dat": "yelp"})


def test_nothing_found_says_what_to_do(runs: RunFolders, conf_dir: Path) -> None:
    assert "start one with `recretrain run method=sml data=yelp`" in render(runs.outputs, conf_dir=conf_dir)
    text = render(runs.outputs, conf_dir=conf_dir, table="sml_table1", only={"data": "yelp"})
    assert text == (
        f"No finished run below {runs.outputs} of table sml_table1 with data=yelp; "
        "start one with `recretrain reproduce sml_table1`.\n"
    )


def test_the_report_imports_neither_torch_nor_the_rest_of_the_package(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", ONE)
    program = f"""
import json, sys
from pathlib import Path
from recretrain.report import render
assert "pandas" not in sys.modules
render(Path({str(runs.outputs)!r}), conf_dir=Path({str(conf_dir)!r}))
print(json.dumps(sorted(sys.modules)))
"""

    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    modules = json.loads(output)
    assert "torch" not in modules
    assert "matplotlib" not in modules
    own = {name for name in modules if name.startswith("recretrain.")}
    assert own
    assert {name.split(".")[1] for name in own} <= {"report", *NAMES}


def test_two_methods_that_are_set_to_the_same_are_two_runs(runs: RunFolders) -> None:
    for method in ("melu", "melu_no_adaptation"):
        runs.add(method, {"mae@0": {33: (0.5, 1)}}, variant="same")

    assert {run.method for run in read_runs(runs.outputs)} == {"melu", "melu_no_adaptation"}
