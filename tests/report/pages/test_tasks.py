"""Tasks in a row: what is left of each after the last one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recretrain.errors import ReportError
from recretrain.report import render
from recretrain.report.papers import loading
from tests.report.folders import RunFolders

LABELS = {"kind": "labels", "text": "1 + 99 negatives and all labels", "unit": "questions (labels)", "candidates": 99}
PERIODS = {"gender": 1, "age": 2, "click": 3}
METRICS = {"gender": "accuracy", "age": "accuracy", "click": "hit@5"}
CARD = """
title: Tasks in a row
rows: {peterrec: PeterRec, fine_all: FineAll, fine_all_sequential: 'FineAll, one network', label_frequency: Majority}
columns: [accuracy, hit@5]
data: {qq: QQ}
groups: {gender: two classes, age: eight classes, click: items}
forgetting: true
runs: [method=peterrec data=qq]
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    (tmp_path / "conf" / "table").mkdir(parents=True)
    (tmp_path / "conf" / "table" / "in_a_row.yaml").write_text(CARD)
    return tmp_path / "conf"


def add(
    runs: RunFolders,
    method: str,
    learnt: Mapping[str, float],
    again: Mapping[tuple[int, str], float],  # (task, name) -> the figure of the test asked again
    notes: Mapping[str, float] | None = None,
    order: tuple[str, ...] = ("gender", "age", "click"),
    **more: Any,
) -> None:
    """A run of a source and three downstream tasks: task t learns the t-th of the order."""
    rows: list[tuple[int, int, str, str, str, float, int]] = []
    for task, name in enumerate(order, start=1):
        period = PERIODS[name]
        rows += [(task, period, "test", name, METRICS[name], learnt[name], 10)]
        rows += [(task, period, "test", name, "known_share", 0.75, 10)]
        rows += [(task, period, "update", "all", note, value, 0) for note, value in (notes or {}).items()]
    rows += [(task, PERIODS[name], "again", name, METRICS[name], value, 10) for (task, name), value in again.items()]
    figures = {"accuracy": dict.fromkeys((0, *PERIODS.values()), (0.5, 10))}
    card = {"data": "qq", "schedule": "downstream", "tested": (1, 2, 3), "choosing": (0,), "asked": LABELS}
    runs.add(method, figures, more_rows=rows, cpu={0: 3.0, 1: 1.0, 2: 1.0, 3: 1.0}, **{**card, **more})


NONE_LOST = {(2, "gender"): 0.8, (3, "gender"): 0.8, (3, "age"): 0.4}
LEARNT = {"gender": 0.8, "age": 0.4, "click": 0.2}
SIZES = {"tuned": 1200, "tuned_share": 0.0268, "task_bytes": 4800}


def lines_of(text: str, task: str) -> dict[str, str]:
    """The lines of a task's table by the first word."""
    (page,) = [part for part in text.split("qq: tested periods ") if f", {task}: " in part.splitlines()[0]]
    return {line.split("  ")[0]: line for line in page.split("qq: cost")[0].splitlines() if "  " in line}


def test_a_line_has_the_figure_when_learnt_the_same_after_the_last_task_and_its_price(runs, conf) -> None:
    add(runs, "fine_all_sequential", LEARNT, {(2, "gender"): 0.7, (3, "gender"): 0.55, (3, "age"): 0.3}, SIZES)

    text = render(runs.outputs, conf_dir=conf, table="in_a_row")

    assert lines_of(text, "gender")["fine_all_sequential"].split()[1:] == (
        ["1", "0.8000", "0.5500", "-0.2500", "1,200", "2.68%", "4,800", "1.0", "3.0"]
    )
    assert lines_of(text, "age")["fine_all_sequential"].split()[1:5] == ["1", "0.4000", "0.3000", "-0.1000"]
    assert "accuracy when learnt" in text
    assert "by construction" not in text
    assert "known_share" not in text


def test_what_cannot_change_is_said_to_be_so_by_construction(runs, conf) -> None:
    add(runs, "peterrec", LEARNT, NONE_LOST, {**SIZES, "fixed_answers": 1})
    add(runs, "fine_all", LEARNT, NONE_LOST, {**SIZES, "fixed_answers": 0})
    add(runs, "label_frequency", LEARNT, NONE_LOST)

    gender = lines_of(render(runs.outputs, conf_dir=conf, table="in_a_row"), "gender")

    assert "by construction" in gender["peterrec"]
    assert "+0.0000" in gender["fine_all"]
    assert gender["label_frequency"].split() == ["label_frequency", "1", "0.8000", "0.8000", "+0.0000", "1.0", "3.0"]


def test_a_promise_that_is_not_kept_is_shown_as_it_is(runs, conf) -> None:
    add(runs, "peterrec", LEARNT, {**NONE_LOST, (3, "gender"): 0.7}, {"fixed_answers": 1})

    text = render(runs.outputs, conf_dir=conf, table="in_a_row")

    assert "-0.1000" in lines_of(text, "gender")["peterrec"]
    assert "by construction" in lines_of(text, "age")["peterrec"]


def test_of_the_last_task_nothing_can_be_lost_yet(runs, conf) -> None:
    add(runs, "peterrec", LEARNT, NONE_LOST, {"fixed_answers": 1})

    text = render(runs.outputs, conf_dir=conf, table="in_a_row")

    assert lines_of(text, "click")["peterrec"].split() == ["peterrec", "1", "0.2000", "1.0", "3.0"]
    assert "hit@5 when learnt" in text
    assert text.count("The last task: nothing was learned after it.") == 1


def test_another_order_is_another_line_of_the_same_tables(runs, conf) -> None:
    add(runs, "fine_all_sequential", LEARNT, {(3, "gender"): 0.7, (3, "age"): 0.3})
    turned = {"order": ("click", "age", "gender"), "overrides": ["schedule.order=[click,age,gender]"]}
    add(runs, "fine_all_sequential", LEARNT, {(3, "click"): 0.1, (3, "age"): 0.2}, **turned)

    click = lines_of(render(runs.outputs, conf_dir=conf, table="in_a_row"), "click")

    assert click["fine_all_sequential (order=[click,age,gender])"].split()[2:] == (
        ["1", "0.2000", "0.1000", "-0.1000", "1.0", "3.0"]
    )
    assert click["fine_all_sequential"].split() == ["fine_all_sequential", "1", "0.2000", "1.0", "3.0"]


def test_seeds_are_averaged_and_the_best_is_marked(runs, conf) -> None:
    for seed, value in enumerate((0.7, 0.9)):
        add(runs, "fine_all", {**LEARNT, "gender": value}, {(3, "gender"): 0.5}, seed=seed)
    add(runs, "peterrec", {**LEARNT, "gender": 0.75}, {(3, "gender"): 0.75}, {"fixed_answers": 1})

    gender = lines_of(render(runs.outputs, conf_dir=conf, table="in_a_row"), "gender")

    assert "0.8000 ± 0.1414*" in gender["fine_all"]
    assert "-0.3000 ± 0.1414" in gender["fine_all"]
    assert "0.7500*" in gender["peterrec"]  # after the last task


def test_csv_has_the_figures_unrounded(runs, conf) -> None:
    add(runs, "peterrec", LEARNT, NONE_LOST, {**SIZES, "fixed_answers": 1})

    text = render(runs.outputs, conf_dir=conf, table="in_a_row", format="csv")

    (gender,) = [row for row in csv.DictReader(io.StringIO(text)) if row["group"] == "gender"]
    assert (gender["section"], gender["row"]) == ("tasks", "peterrec")
    assert (gender["difference"], gender["tuned weights"]) == ("0.0", "1200.0")


def test_choosing_and_plain_reports_are_as_ever_and_never_show_what_was_asked_again(runs, conf) -> None:
    add(runs, "peterrec", LEARNT, {**NONE_LOST, (3, "gender"): 0.123}, {"valid_loss": 9.87, **SIZES})

    plain = render(runs.outputs, conf_dir=conf.parent, group="gender")

    assert "0.8000" in plain
    assert "0.1230" not in plain
    assert "valid_loss" not in plain
    with pytest.raises(ReportError, match=r"measured: accuracy, hit@5, known_share$"):
        render(runs.outputs, conf_dir=conf.parent, by_period="valid_loss")


def test_a_fact_about_a_test_is_never_the_best(runs, conf) -> None:
    for method, share in (("peterrec", 0.5), ("fine_all", 0.75)):
        rows = [(0, 1, "test", "all", "known_share", share, 10)]
        card = {"data": "own", "tested": (1,), "choosing": (), "asked": LABELS}
        runs.add(method, {"accuracy": {1: (share, 10)}}, more_rows=rows, **card)

    text = render(runs.outputs, conf_dir=conf.parent)

    assert re.findall(r"\S+\*", text) == ["0.7500*"]  # the accuracy


def test_forgetting_needs_the_tasks(conf) -> None:
    content = {"title": "T", "rows": {"a": "A"}, "data": {"qq": "QQ"}, "forgetting": True}

    with pytest.raises(ReportError, match="forgetting needs groups"):
        loading.parse("t", content)


def test_figures_of_tests_are_shown_unless_what_is_left_of_them_is_asked_for(runs, conf) -> None:
    add(runs, "peterrec", LEARNT, NONE_LOST)

    assert "when learnt" not in render(runs.outputs, conf_dir=conf)
    assert "when learnt" in render(runs.outputs, conf_dir=conf, table="in_a_row")


def test_a_plain_run_of_peterrec_keeps_its_name(runs, conf_dir) -> None:
    patches = {"insertion": "serial", "inner_skip": True, "reduction": 8, "activation": "relu"}
    settings = {
        f"patches.{key}": value for key, value in (patches | {"tune_second_norm": True, "zero_init": False}).items()
    }
    add(runs, "peterrec", LEARNT, NONE_LOST, settings=settings)

    assert "peterrec  " in render(runs.outputs, conf_dir=conf_dir)
