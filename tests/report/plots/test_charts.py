"""Charts of a table, whose x is a setting or the length of a support."""

from pathlib import Path

from recretrain.report import plot
from recretrain.report.papers.chart import Chart
from recretrain.report.runs.reading import read_runs
from tests.report.folders import EPISODES

MOVIELENS = {"data": "movielens", "tested": (0,), "choosing": (), "asked": EPISODES}
STATES = ("warm", "user_cold", "item_cold", "user_and_item_cold")


def add(runs, method: str, mae: float, *, settings=None, **more) -> None:
    groups = {state: {"mae@0": {0: (mae + place, 5)}} for place, state in enumerate(STATES)}
    groups["user_cold, support 3-9"] = {"mae@0": {0: (mae / 2, 2)}}
    steps = {"local.steps": 5 if method == "melu_tuned" else 1, **(settings or {})}
    runs.add(method, {"mae@0": {0: (mae, 20)}}, groups=groups, settings=steps, **{**MOVIELENS, **more})


def test_figures_have_a_panel_a_state_and_only_x_may_differ(runs, conf_dir: Path, tmp_path: Path) -> None:
    for steps in (0, 1, 5):
        changed = [] if steps == 1 else [f"method.local.steps={steps}"]
        add(runs, "melu", 1 + steps, settings={"local.steps": steps}, overrides=changed)
    add(runs, "melu", 50.0, seed=1)  # of one step alone: it would bend the line
    add(runs, "melu", 99.0, settings={"local.steps": 2}, overrides=["method.local.steps=2", "method.learner.epochs=1"])

    drawn = plot(runs.outputs, into=tmp_path, conf_dir=conf_dir, table="melu_figures", metric="mae")
    names = {path.name.split("_movielens")[0] for path in drawn}
    updates = next(path for path in drawn if "updates" in path.name and path.suffix == ".svg").read_text()

    assert {"melu_figures_updates", "melu_figures_support"} <= names
    assert updates.count("<!-- method.local.steps -->") == 4
    assert "<!-- melu -->" in updates
    chart = Chart(title="", x="method.local.steps", y="mae", methods=["melu"])
    points = chart.points(read_runs(runs.outputs), ["warm"])
    assert points["warm"]["melu"] == {0: [1.0], 1: [2.0], 5: [6.0]}
