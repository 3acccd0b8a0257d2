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

    assert list(lines) == ["peterrec", "peterrec (reduction=4)"]
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


GATES = """
title: Gates
rows: {sml_gate: Gate, fine_tune: Fine-tune}
stand_ins: {yelp2019: SML's Yelp}
figures:
  gates: {title: Gates of users, x: period, y: gate_user, methods: [sml_gate, fine_tune]}
runs: [method=sml_gate data=yelp2019]
"""


def add_gates(runs: RunFolders, gates: dict[str, list[float]], *, seed: int = 0, **more) -> None:
    rows = [
        (task, task + 1, "update", "all", name, value, 0)
        for name, values in gates.items()
        for task, value in enumerate(values)
    ]
    card = {"data": "yelp2019", "tested": (1, 2), "choosing": (), "seed": seed}
    runs.add("sml_gate", {"recall@20": dict.fromkeys((1, 2), (0.5, 10))}, more_rows=rows, **{**card, **more})


def test_notes_over_the_periods_are_a_panel_for_each_setting_and_a_line_for_each_note(runs, tmp_path: Path) -> None:
    add_gates(runs, {"gate_user": [1.0, 1.2], "gate_user_new": [1.1, 1.4], "gate_item": [1.3, 1.5]})
    add_gates(runs, {"gate_user": [1.0, 1.4, 9.0], "gate_item": [1.3, 1.5]}, seed=1)
    add_gates(runs, {"gate_item": [1.3, 1.5]}, overrides=["method.lessons_from=20"])
    chart = Chart("Gates", "period", "gate_user", ["sml_gate", "fine_tune"])

    found = points(runs, chart)

    assert found == {"sml_gate": {"gate_user": {1: [1.0, 1.0], 2: [1.2, 1.4]}}}  # no seed's notes alone


def test_notes_over_the_periods_are_drawn_of_data_that_stand_in_for_the_paper_s(runs, tmp_path: Path) -> None:
    (tmp_path / "conf" / "table").mkdir(parents=True)
    (tmp_path / "conf" / "table" / "gates.yaml").write_text(GATES)
    add_gates(runs, {"gate_user": [1.0, 1.2], "gate_user_new": [1.1, 1.4]})

    drawn = plot(runs.outputs, into=tmp_path / "plots", conf_dir=tmp_path / "conf", table="gates")

    (page,) = [path.read_text() for path in drawn if path.suffix == ".svg" and path.stem.startswith("gates_gates")]
    assert "<!-- gate_user_new -->" in page
    assert "<!-- period -->" in page
