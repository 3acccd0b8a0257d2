"""Draws the charts of a table, a panel for each of its groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recretrain.report.papers.card import TableCard
from recretrain.report.papers.chart import Chart, Points
from recretrain.report.plots.files import save
from recretrain.report.runs.cohorts import Cohort

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_charts(table: TableCard, found: Sequence[Cohort], into: Path) -> list[Path]:
    """PNG and SVG files of every chart, for each cohort on the table's data that has a point of it."""
    drawn: list[Path] = []
    for cohort in (cohort for cohort in found if cohort.asked.data in table.scope.data):
        for name, chart in table.charts.items():
            points = chart.points(cohort.runs, list(table.layout.groups))
            if any(points.values()):
                stem = f"{table.name}_{name}_{cohort.asked.data}_{cohort.asked.name}"
                drawn += save(_figure(chart, points, cohort.asked.synthetic), into, stem)
    return drawn


def _figure(chart: Chart, points: Points, synthetic: bool) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(points), 3.6), layout="constrained")
    for axes, (panel, of_panel) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items(), strict=True):
        for place, method in enumerate(chart.methods):
            values = sorted(of_panel[method].items()) if method in of_panel else []
            means = [sum(seeds) / len(seeds) for _, seeds in values]
            axes.plot([x for x, _ in values], means, marker="o", markersize=3, color=f"C{place}", label=method)
        axes.set(title=panel, xlabel=chart.x, ylabel=chart.y)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize="x-small")
    figure.suptitle(f"{chart.title}{' (synthetic data)' if synthetic else ''}", fontsize="small")
    return figure
