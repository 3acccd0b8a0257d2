"""Tables and figures of groups: each with the published figures of its own."""

from pathlib import Path

import pytest

from recretrain.errors import ReportError
from recretrain.report import render
from recretrain.report.pages.grids import best
from tests.report.folders import EPISODES

MOVIELENS = {"data": "movielens", "tested": (0,), "choosing": (), "asked": EPISODES}
STATES = ("warm", "user_cold", "item_cold", "user_and_item_cold")


def add(runs, method: str, mae: float, *, settings=None, **more) -> None:
    groups = {state: {"mae@0": {0: (mae + place, 5)}} for place, state in enumerate(STATES)}
    groups["user_cold, support 3-9"] = {"mae@0": {0: (mae / 2, 2)}}
    steps = {"local.steps": 5 if method == "melu_tuned" else 1, **(settings or {})}
    runs.add(method, {"mae@0": {0: (mae, 20)}}, groups=groups, settings=steps, **{**MOVIELENS, **more})


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


def test_choosing_periods_of_a_table_with_groups_may_have_no_question(runs, conf_dir: Path) -> None:
    add(runs, "melu", 0.5)

    text = render(runs.outputs, conf_dir=conf_dir, table="melu_table2", test="choosing")

    assert text == "The finished runs answered no question of test=choosing, group=all.\n"


def test_no_published_figure_beside_another_split(runs, conf_dir: Path) -> None:
    add(runs, "melu", 0.5, asked={**EPISODES, "split": "in_time"})

    text = render(runs.outputs, conf_dir=conf_dir, table="melu_table2")

    assert "0.7661" not in text
    assert "Published figures answer other questions (split: random, here in_time); none stands beside." in text


def test_of_errors_the_lowest_is_the_best() -> None:
    assert best([0.2, 0.1, None], lowest=True) == [False, True, False]


def test_methods_that_are_set_to_the_same_are_two_rows(runs, conf_dir: Path) -> None:
    for method, mae in (("melu", 0.25), ("melu_no_adaptation", 0.75)):
        runs.add(method, {"mae@0": {0: (mae, 20)}}, variant="same", **{**MOVIELENS, "data": "own"})

    text = render(runs.outputs, conf_dir=conf_dir)

    assert "0.2500" in text
    assert "0.7500" in text
