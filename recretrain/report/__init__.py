"""From run folders to tables and plots. Reads files only: nothing here needs torch or the rest of the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recretrain.report.pages.screen import Screen

__all__ = ["plot", "render"]


def render(
    outputs: Path,
    *,
    conf_dir: Path,
    table: str | None = None,
    format: str = "terminal",
    test: str = "test",
    group: str = "all",
    only: Mapping[str, str] | None = None,
    compare: str | None = None,
    by_period: str | None = None,
    screen: Screen | None = None,
) -> str:
    """The tables of all finished runs below `outputs`.

    `table` names a file of conf/table; without it every set of comparable runs gets a table of its own.
    `format` is one of pages.formats.FORMATS; `test` is test or choosing; `group` is all, or one that the runs measured.
    `only` keeps the runs with these facts (data, method, schedule, eval, data_source, variant, seed, backbone).
    `compare` names the method that every other one is tested against; `by_period` names a metric, such as recall@20,
    that is shown period by period instead. `screen` is what the terminal shows that the text is for; None: all columns,
    without bold. Raises ReportError for a choice that does not exist.
    """
    from recretrain.report.pages.report import report
    from recretrain.report.pages.screen import PLAIN
    from recretrain.report.papers.material import Request

    request = Request(table, test, group, dict(only or {}), by_period, compare)
    return report(outputs, conf_dir, request, format, screen or PLAIN)


def plot(
    outputs: Path,
    *,
    into: Path,
    conf_dir: Path | None = None,
    table: str | None = None,
    metric: str | None = None,
    test: str = "test",
    group: str = "all",
    only: Mapping[str, str] | None = None,
) -> list[Path]:
    """Draw metrics period by period, a line per method, as PNG and SVG files in `into`; returns their paths.

    `table` and `only` choose runs as for `render`. With `conf_dir`, published curves are drawn dashed where they may
    stand beside ours. Without a `metric` those with published curves are drawn, a panel each; else recall@20.
    """
    from recretrain.report.papers.material import Request
    from recretrain.report.plots.periods import draw

    return draw(outputs, into, conf_dir, Request(table, test, group, dict(only or {}), metric))
