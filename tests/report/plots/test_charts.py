"""Charts of a table, whose x is a setting or the length of a support."""

from pathlib import Path

from recretrain.report import plot
from recretrain.report.papers.chart import Chart
from recretrain.report.runs.cohorts import cohorts
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


CATN = {"tested": (0,), "choosing": (), "asked": {"kind": "cold_users"}, "eval": "cold_users", "schedule": "cold_users"}


def test_a_figure_joins_what_parts_a_table_and_leaves_other_data_out(runs, conf_dir: Path, tmp_path: Path) -> None:
    for eta in (1, 0.2):
        for seed, error in enumerate((0.8, 1.0)):
            changed = [f"data.split.eta={eta}"]
            add_cold(runs, "cmf", error / eta, eta, changed, seed=seed)
            add_cold(runs, "cmf", 9.0, eta, [*changed, "data.split.seed=1"], seed=2 + seed)  # other cold users
    add_cold(runs, "cmf", 7.0, 1, ["data.split.eta=1"], data_source="synthetic", data="rt_critics")
    add_cold(runs, "melu", 7.0, 1, ["data.split.eta=1"])  # in no row
    add_cold(runs, "cmf", 7.0, None, ["data.split=null"])  # over time: no share

    names = [path.name for path in plot(runs.outputs, into=tmp_path, conf_dir=conf_dir, table="catn_table")]

    assert {"catn_table_eta.svg", "catn_table_eta_synthetic.svg"} <= set(names)
    chart = Chart(title="", x="data.split.eta", y="mse", methods=["cmf", "emcdr"])
    real = [cohort for cohort in cohorts(read_runs(runs.outputs)) if not cohort.asked.synthetic]
    assert chart.points_of_parts(real) == {"douban": {"cmf": {1: [0.8, 1.0], 0.2: [4.0, 5.0]}}}


def add_cold(
    runs, method: str, error: float, eta: float, overrides: list[str], *, data: str = "douban", **more
) -> None:
    facts = {**CATN, "data_digest": f"{overrides}", "overrides": overrides, "variant": f"{method}{overrides}", **more}
    figures = {"mse@0": {0: (error, 10)}}
    runs.add(method, figures, config={"data.split.eta": eta}, data=data, groups={f"eta {eta}": figures}, **facts)
