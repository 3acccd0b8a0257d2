"""A report as a page: its curves with their figures, and colours that can be read on both grounds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import recretrain.report.pages
from recretrain.report import render
from recretrain.report.plots.look import COLOURS
from tests.report.papers.test_published import YELP

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

STYLE = (Path(recretrain.report.pages.__file__).parent / "templates" / "style.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root {[^}]*}", STYLE))


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.1."""
    light, dark = sorted(map(luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_by_the_example_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out(scheme: dict[str, str]) -> None:
    grounds = [scheme[name] for name in ("paper", "panel", "take")]

    assert LIGHT.keys() == DARK.keys()
    assert min(contrast(scheme[ink], ground) for ink in ("ink", "soft", "mark") for ground in grounds) >= 4.5
    assert min(contrast(colour, scheme["panel"]) for colour in COLOURS) >= 3  # of graphics


def test_a_page_has_the_tables_and_the_curves_with_their_figures(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", YELP)
    runs.add("fine_tune", {"recall@20": {period: (period / 100, 10) for period in range(33, 40)}})

    text = render(runs.outputs, conf_dir=conf_dir, format="html")

    assert text.startswith("<!doctype html>")
    assert text.count("<svg") == 1
    assert 'aria-label="recall@20 of each method in each period; the table below has the numbers"' in text
    shown = text[text.index("<summary>The numbers") :]
    assert "".join(f"<td>{period / 100:.4f}</td>" for period in range(33, 40)) in shown
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)|@import|url[(](?!#)""", text)
    assert re.search(r'<tr class="other"><th scope="row" class="name">published \[S\]</th>', text)


def test_means_of_one_period_have_no_curves(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {33: (0.5, 10)}}, tested=[33])

    assert "<svg" not in render(runs.outputs, conf_dir=conf_dir, format="html")
