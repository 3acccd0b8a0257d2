"""Beside a table of means the curves over the periods that they are of, for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd

from recretrain.report.pages import results
from recretrain.report.pages.grids import Grid, Picture
from recretrain.report.papers.beside import curves, of_labels
from recretrain.report.papers.card import Cited, TableCard
from recretrain.report.papers.material import Request
from recretrain.report.plots.look import drawn, style
from recretrain.report.runs import averages
from recretrain.report.runs.cohorts import Cohort

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAPTION = "Mean over seeds; bands reach from the lowest seed to the highest."
DASHED = " Dashed: published."


def with_picture(grid: Grid, cohort: Cohort, table: TableCard, request: Request) -> Grid:
    """The grid with curves of its leading metric, if it is one of results over several periods."""
    rows = averages.scaled(averages.measured(cohort, request.test, request.group), table.layout.unit.scale)
    if grid.facts.get("section") != "results" or rows["period"].nunique() < 2:
        return grid
    labels = [line.name for line in grid.lines if line.kind == "ours"]
    column = averages.leading([name for name in averages.in_order(rows["column"]) if name in _shown(grid, table)])
    theirs = of_labels(cohort, labels, curves(cohort, table, request.beside).get(column, {}))
    numbers = results.by_period(cohort, rows, labels, table, column, request.beside)
    return replace(
        grid,
        picture=Picture(
            svg=_svg(rows, labels, column, f"{column}{table.layout.unit.mark}", theirs),
            about=f"{column} of each method in each period",
            caption=CAPTION + (DASHED if theirs else ""),
            numbers=numbers,
        ),
    )


def _shown(grid: Grid, table: TableCard) -> set[str]:
    return {name.removesuffix(table.layout.unit.mark) for name in grid.columns}


def _svg(
    rows: pd.DataFrame, labels: Sequence[str], column: str, name: str, theirs: Mapping[str, Mapping[str, Cited]]
) -> str:
    means, low, high = (averages.by_period(rows, column, how) for how in ("mean", "min", "max"))

    def draw(axes: Axes) -> None:
        for place, label in enumerate(labels):
            looks = style(place, label)
            axes.plot(means.columns, means.loc[label], linewidth=1, **looks)
            axes.fill_between(
                means.columns, low.loc[label], high.loc[label], color=looks["color"], alpha=0.2, linewidth=0
            )
            if published := theirs.get(label):
                values = [figure.value for figure in published.values()]
                axes.plot([int(period) for period in published], values, "--", color=looks["color"], linewidth=1)
        axes.set(xlabel="period", ylabel=name)
        axes.locator_params(axis="x", integer=True)

    return drawn(draw)
