"""Tables and figures of groups: each with the published figures of its own."""

from pathlib import Path

import pytest

from recretrain.errors import ReportError
from recretrain.report import plot, render
from recretrain.report.grids import best
from recretrain.report.lines import Lines
from recretrain.report.rows import read_runs

EPISODES = {
    "data": "movielens",
    "tested": (0,),
    "choosing": (),
    "questions": "episodes",
    "candidates": None,
    "episodes": {"shortest": 13, "longest": 100, "queries": 10, "split": "random", "users": "all"},
}
STATES = ("warm", "user_cold", "item_cold", "user_and_item_cold")


def add(runs, method: str, mae: float, *, settings=None, **more) -> None:
    groups = {state: {"mae@0": {0: (mae + place, 5)}} for place, state in enumerate(STATES)}
    groups["user_cold, support 3-9"] = {"mae@0": {0: (mae / 2, 2)}}
    steps = {"local_steps": 5 if method == "melu_tuned" else 1}
    runs.add(
        method, {"mae@0": {0: (mae, 20)}}, groups=groups, settings={**steps, **(settings or {})}, **EPISODES, **more
    )


def test_each_state_has_a_table_with_its_published_figures(runs, conf_dir: Path) -> None:
    add(runs, "melu", 0.5)

    text = render(runs.outputs, conf_dir=conf_dir, table="melu_table2")
    states = text.split("questions (users)")[1:]

    assert len(states) == 4
    for table, ours, published in zip(
        states, ("0.5000", "1.5000", "2.5000", "3.5000"), ("0.7661", "0.7884", "0.9361", "0.9299"), strict=True
    ):
        assert ours in table
        assert published in table
    assert "training error" in states[0]
    assert text.count("cost of a period") == 1


def test_a_group_may_be_asked_for_by_name(runs, conf_dir: Path) -> None:
    add(runs, "melu", 0.5)

    assert "0.2500" in render(runs.outputs, conf_dir=conf_dir, group="user_cold, support 3-9")
    with pytest.raises(ReportError, match="unknown group 'user_warm'; choose from all, new_user, new_item, item_cold"):
        render(runs.outputs, conf_dir=conf_dir, group="user_warm")


def test_no_published_figure_beside_another_split(runs, conf_dir: Path) -> None:
    other = {**EPISODES, "episodes": {**EPISODES["episodes"], "split": "in_time"}}
    runs.add(
        "melu",
        {"mae@0": {0: (0.5, 20)}},
        groups={"warm": {"mae@0": {0: (0.5, 9)}}},
        settings={"local_steps": 1},
        **other,
    )

    text = render(runs.outputs, conf_dir=conf_dir, table="melu_table2")

    assert "0.7661" not in text
    assert "Published figures are of 10 of 13-100 ratings of users, split random" in text


def test_of_errors_the_lowest_is_the_best() -> None:
    assert best([0.2, 0.1, None], lowest=True) == [False, True, False]


def test_figures_have_a_panel_a_state_and_only_x_may_differ(runs, conf_dir: Path, tmp_path: Path) -> None:
    for steps in (0, 1, 5):
        changed = [] if steps == 1 else [f"method.local_steps={steps}"]
        add(runs, "melu", 1 + steps, settings={"local_steps": steps}, overrides=changed)
    add(runs, "melu", 50.0, seed=1)  # of one step alone: it would bend the line
    add(runs, "melu", 99.0, settings={"local_steps": 2}, overrides=["method.local_steps=2", "method.epochs=1"])

    drawn = plot(runs.outputs, into=tmp_path, conf_dir=conf_dir, table="melu_figures", metric="mae")
    names = {path.name.split("_movielens")[0] for path in drawn}
    updates = next(path for path in drawn if "updates" in path.name and path.suffix == ".svg").read_text()

    assert {"melu_figures_updates", "melu_figures_support"} <= names
    assert updates.count("<!-- method.local_steps -->") == 4
    assert "<!-- melu -->" in updates
    lines = Lines(title="", x="method.local_steps", y="mae", methods=["melu"])
    points = lines.points(read_runs(runs.outputs), ["warm"])
    assert points["warm"]["melu"] == {0: [1.0], 1: [2.0], 5: [6.0]}


def test_methods_that_are_set_to_the_same_are_two_rows(runs, conf_dir: Path) -> None:
    for method, mae in (("melu", 0.25), ("melu_no_adaptation", 0.75)):
        runs.add(method, {"mae@0": {0: (mae, 20)}}, variant="same", **{**EPISODES, "data": "own"})

    text = render(runs.outputs, conf_dir=conf_dir)

    assert "0.2500" in text
    assert "0.7500" in text
