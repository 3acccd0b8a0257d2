"""Draws the charts of a table, a panel for each of its groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recretrain.report.papers.card import TableCard
from recretrain.report.papers.chart import EPOCH, PERIOD, Chart, Points
from recretrain.report.papers.notes import points_of_notes
from recretrain.report.plots.files import save
from recretrain.report.plots.look import COLOURS, style
from recretrain.report.runs.cohorts import Cohort

if TYPE_CHECKING:
    from matplotlib.figure import Figure


FAR = 20  # an axis from one value to another so many times as large is logarithmic
DASHES = ("-", "--", ":")  # for the lines of a colour that was had


def draw_charts(table: TableCard, chosen: Sequence[Cohort], found: Sequence[Cohort], into: Path) -> list[Path]:
    """PNG and SVG files of every chart, for each cohort on the table's data that has a point of it.

    `chosen` are the runs of the table by their names in it, `found` all: a chart by a setting needs the other values.
    """
    drawn: list[Path] = []
    groups = list(table.layout.groups)
    for name, chart in table.charts.items():
        if chart.x in table.scope.parted_by:
            drawn += _draw_parts(f"{table.name}_{name}", chart, chosen, into)
            continue
        known = chosen if chart.of_notes else found
        for cohort in (cohort for cohort in known if _is_on(table, chart, cohort.asked.data)):
            points = points_of_notes(chart, cohort, groups) if chart.of_notes else chart.points(cohort.runs, groups)
            if any(points.values()):
                stem = f"{table.name}_{name}_{cohort.asked.data}_{cohort.asked.name}"
                drawn += save(_figure(chart, points, cohort.asked.synthetic), into, stem)
    return drawn


def _is_on(table: TableCard, chart: Chart, data: str) -> bool:
    """Whether a chart is drawn of these data: of the paper's, and by period of those that stand in for them."""
    return data in table.scope.data or (chart.x == PERIOD and table.scope.has(data))


def _draw_parts(stem: str, chart: Chart, chosen: Sequence[Cohort], into: Path) -> list[Path]:
    """All data in one figure, generated ones in another."""
    drawn: list[Path] = []
    for synthetic in (False, True):
        points = chart.points_of_parts([cohort for cohort in chosen if cohort.asked.synthetic == synthetic])
        if any(points.values()):
            drawn += save(_figure(chart, points, synthetic), into, stem + "_synthetic" * synthetic)
    return drawn


def _figure(chart: Chart, points: Points, synthetic: bool) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(points), 3.6), layout="constrained")
    every = [line for of_panel in points.values() for line in of_panel]
    lines = list(dict.fromkeys(every if chart.of_notes else chart.methods))
    for axes, (panel, of_panel) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items(), strict=True):
        for place, line in enumerate(lines):
            values = sorted(of_panel[line].items()) if line in of_panel else []
            means = [sum(seeds) / len(seeds) for _, seeds in values]
            dash = DASHES[place // len(COLOURS) % len(DASHES)]
            axes.plot([x for x, _ in values], means, dash, **style(place, line))
        axes.set(title=panel, xlabel=chart.x, ylabel=chart.y)
        if chart.x in (EPOCH, PERIOD):
            axes.locator_params(axis="x", integer=True)
        if _far([x for line in of_panel.values() for x in line]):
            axes.set_xscale("log")
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize="x-small")
    figure.suptitle(f"{chart.title}{' (synthetic data)' if synthetic else ''}", fontsize="small")
    return figure


def _far(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) >= FAR * min(values)
