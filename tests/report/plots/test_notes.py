"""Charts of notes on updates: a figure by the share that was tuned, losses by epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from recretrain.report import plot
from recretrain.report.papers.chart import Chart
from recretrain.report.papers.notes import points_of_notes
from recretrain.report.plots.charts import _far
from recretrain.report.runs.cohorts import cohorts
from recretrain.report.runs.reading import read_runs
from tests.report.folders import RunFolders

LABELS = {"kind": "labels", "text": "1 + 99 negatives and all labels", "unit": "questions (labels)", "candidates": 99}
TASKS = ("gender", "age")  # learned as tasks 0 and 1, of periods 1 and 2
SHARES = Chart("Accuracy by share", "tuned_share", "accuracy", ["peterrec", "fine_all"])
CURVES = Chart("Losses", "epoch", "valid_loss", ["peterrec", "fine_zero"])
CARD = """
title: Notes
rows: {peterrec: PeterRec, fine_all: FineAll, fine_zero: FineZero}
data: {qq: QQ}
groups: {gender: two classes, age: eight classes, life: six classes}
figures:
  shares: {title: Accuracy by share, x: tuned_share, y: accuracy, methods: [peterrec, fine_all, fine_zero]}
  curves: {title: Losses, x: epoch, y: valid_loss, methods: [peterrec, fine_zero]}
runs: [method=peterrec data=qq]
"""


def add(runs: RunFolders, method: str, share: float, losses: dict[str, list[float]], *, seed: int = 0, **more) -> None:
    rows = []
    for task, name in enumerate(TASKS):
        period = task + 1
        rows += [(task, period, "test", name, "accuracy", 0.1 * period + 0.01 * seed, 10)]
        rows += [(task, period, "update", "all", "tuned_share", share, 0)]
        rows += [
            (task, period, "update", "all", f"valid_loss@{epoch}", loss, 0)
            for epoch, loss in enumerate(losses.get(name, []), start=1)
        ]
    card = {"data": "qq", "tested": (1, 2), "choosing": (), "asked": LABELS, "seed": seed}
    runs.add(method, {"accuracy": dict.fromkeys((1, 2), (0.5, 10))}, more_rows=rows, **{**card, **more})


def points(runs: RunFolders, chart: Chart):
    (cohort,) = cohorts(read_runs(runs.outputs))
    return points_of_notes(chart, cohort, ["gender", "age", "life"])


def test_a_figure_stands_at_the_share_that_its_task_tuned(runs) -> None:
    for seed in (0, 1):
        add(runs, "peterrec", 0.028, {}, seed=seed)
    add(runs, "fine_all", 1.0, {})
    add(runs, "fine_zero", 1.0, {})

    found = points(runs, SHARES)

    assert list(found) == ["gender", "age"]
    assert list(found["gender"]) == ["peterrec", "fine_all"]
    assert found["gender"]["peterrec"] == {0.028: [0.1, pytest.approx(0.11)]}
    assert found["age"]["fine_all"] == {1.0: [0.2]}


def test_a_curve_goes_as_far_as_every_seed_did(runs) -> None:
    add(runs, "peterrec", 0.028, {"gender": [0.7, 0.6, 0.5]})
    add(runs, "peterrec", 0.028, {"gender": [0.9, 0.8]}, seed=1)
    add(runs, "fine_zero", 1.0, {"gender": [0.7]})

    found = points(runs, CURVES)

    assert found == {"gender": {"peterrec": {1: [0.7, 0.9], 2: [0.6, 0.8]}, "fine_zero": {1: [0.7]}}}


def test_a_setting_of_its_own_is_a_line_of_its_own(runs) -> None:
    add(runs, "peterrec", 0.028, {})
    add(runs, "peterrec", 0.056, {}, overrides=["method.patches.reduction=4"])

    lines = points(runs, SHARES)["gender"]

    assert list(lines) == ["peterrec", "peterrec (patches.reduction=4)"]
    assert [list(line) for line in lines.values()] == [[0.028], [0.056]]


def test_they_are_drawn_with_a_panel_for_each_task_that_has_points(runs, tmp_path: Path) -> None:
    (tmp_path / "conf" / "table").mkdir(parents=True)
    (tmp_path / "conf" / "table" / "notes.yaml").write_text(CARD)
    add(runs, "peterrec", 0.0016, {"age": [0.7, 0.6]})
    add(runs, "fine_all", 1.0, {})

    drawn = plot(runs.outputs, into=tmp_path / "plots", conf_dir=tmp_path / "conf", table="notes")

    pages = {path.stem.rpartition("_qq")[0]: path.read_text() for path in drawn if path.suffix == ".svg"}
    assert pages.keys() == {"notes_shares", "notes_curves"}
    assert pages["notes_shares"].count("<!-- tuned_share -->") == 2
    assert pages["notes_curves"].count("<!-- epoch -->") == 1
    assert "<!-- fine_all -->" in pages["notes_shares"]
    assert "<!-- fine_all -->" not in pages["notes_curves"]


def test_an_axis_that_goes_far_is_logarithmic() -> None:
    assert _far([0.0016, 1.0])
    assert not _far([0.0, 5.0])
    assert not _far([1.0, 5.0])
    assert not _far([])
