"""docs/choosing.md names all that ships, and says no figure that REPRODUCTION.md does not have; nor does the plot."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import script

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/choosing.md").read_text()
REPRODUCTION = (ROOT / "REPRODUCTION.md").read_text()


def decimals(text: str) -> set[str]:
    """The numbers with a point, `0.3106` and `.3106` as one."""
    return {number.lstrip("0") for number in re.findall(r"(?<![\w.])\d*\.\d+(?![\w.]*\d)", text)}


def test_decimals_are_read() -> None:
    assert decimals("| .3106 ± .0007 | 0.2 | of 0.3106, -0.0049 and 3.11.7") == {".3106", ".0007", ".2", ".0049"}


def test_every_figure_stands_in_reproduction() -> None:
    told = decimals(PAGE)

    assert len(told) > 80
    assert told - decimals(REPRODUCTION) == set()


@pytest.mark.parametrize("group", ["method", "data"])
def test_all_that_ships_is_named(group: str) -> None:
    named = set(re.findall(r"`(\w+)`", PAGE))
    shipped = {file.stem for file in (ROOT / "conf" / group).glob("*.yaml")}

    assert shipped
    assert shipped - named == set()


@pytest.fixture(scope="module")
def plot() -> ModuleType:
    return script("cost_plot")


def test_the_plot_takes_a_methods_own_row_of_the_first_table(plot: ModuleType) -> None:
    shown = plot.points(REPRODUCTION)

    assert shown["full_retrain_bpr"] == (12.9, 0.3528)
    assert shown["fine_tune"] == (6.12, 0.3037)  # not .0371, that of new users
    assert shown["sml_gate_fair"] == (6.71, 0.3086)


def test_the_plot_that_is_shown_is_of_the_tables(plot: ModuleType) -> None:
    picture = plot.PLOT.read_text()

    assert f"<dc:description>{plot.description(plot.points(REPRODUCTION))}</dc:description>" in picture
    assert len(picture) < 100_000


def test_a_method_without_a_figure_is_named(plot: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"no cost or no Recall@20 of sml$"):
        plot.points(re.sub(r"^\| sml  .*\n", "", REPRODUCTION, flags=re.MULTILINE))
