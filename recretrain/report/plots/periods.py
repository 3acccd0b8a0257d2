"""Metrics period by period, a panel for each and a line for each method; the paper's dashed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report.papers.beside import curves as curves_beside
from recretrain.report.papers.beside import sources
from recretrain.report.papers.card import Cells, TableCard
from recretrain.report.papers.material import Request, gather
from recretrain.report.plots.charts import draw_charts
from recretrain.report.plots.files import save
from recretrain.report.plots.look import style
from recretrain.report.runs import averages
from recretrain.report.runs.cohorts import Cohort, cohorts
from recretrain.report.runs.titles import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

USUAL = "recall@20"


def draw(outputs: Path, into: Path, conf_dir: Path | None, request: Request) -> list[Path]:
    """A PNG and an SVG for every set of comparable runs."""
    found = gather(outputs, conf_dir, request)
    drawn = draw_charts(found.table, [cohort for cohort, _ in found.cohorts], cohorts(found.read), into)
    for cohort, table in found.cohorts:
        rows = averages.measured(cohort, request.test, request.group)
        metrics = [name for name in _wanted(table, request) if name in set(rows["column"])]
        if metrics:
            figure = _figure(cohort, averages.restricted(rows, metrics), table, metrics, request)
            drawn += save(figure, into, _stem(cohort, metrics, request))
    if found.cohorts and not drawn:
        measured = averages.in_order(name for cohort, _ in found.cohorts for name in averages.measured_columns(cohort))
        asked = f"{request.metric or USUAL} for test={request.test}, group={request.group}"
        raise ReportError(f"no run has {asked}; measured: {', '.join(measured)}")
    return drawn


def _wanted(table: TableCard, request: Request) -> Sequence[str]:
    if request.metric:
        return [request.metric]
    curves = table.published.curves.values()
    return averages.in_order(column for columns in curves for column in columns) or [USUAL]


def _figure(cohort: Cohort, rows: pd.DataFrame, table: TableCard, metrics: Sequence[str], request: Request) -> Figure:
    from matplotlib.figure import Figure  # its own canvas: nothing is drawn through pyplot, so no display is needed

    unit = table.layout.unit
    scaled = averages.scaled(rows, unit.scale)
    curves = _published(cohort, table, metrics, request)
    looks = _looks(_best_first(scaled, metrics[0]), cohort, curves)
    figure = Figure(figsize=(7 * len(metrics), 4.5), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        _ours(axes, averages.restricted(scaled, [metric]), metric, looks)
        _theirs(axes, cohort, curves[metric], looks)
        axes.set(xlabel="period", ylabel=f"{metric}{unit.mark}")
        axes.locator_params(axis="x", integer=True, nbins=20)
        axes.grid(alpha=0.3)
    _legend(figure)
    figure.suptitle(title(cohort, rows, request.test, request.group), fontsize="small")
    figure.supxlabel("\n".join(_sources(curves)), fontsize="x-small")
    return figure


def _legend(figure: Figure) -> None:
    """One beside all panels: within one it would hide curves."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    lines = {label: line for handles, labels in found for line, label in zip(handles, labels, strict=True)}
    figure.legend(list(lines.values()), list(lines), loc="outside right upper", fontsize="x-small")


def _published(cohort: Cohort, table: TableCard, metrics: Sequence[str], request: Request) -> dict[str, Cells]:
    """The curves of each metric: of all rows of a table that was asked for, else of those that were run."""
    which = request.beside
    found = {metric: curves_beside(cohort, table, which).get(metric, {}) for metric in metrics}
    return {
        metric: {row: curve for row, curve in curves.items() if which == "all" or cohort.label_of(row)}
        for metric, curves in found.items()
    }


def _best_first(rows: pd.DataFrame, metric: str) -> list[str]:
    means = averages.by_period(rows, metric).mean(axis=1)
    return [str(label) for label in means.sort_values(ascending=averages.is_error(metric)).index]


def _looks(labels: Sequence[str], cohort: Cohort, curves: Mapping[str, Cells]) -> dict[str, dict[str, Any]]:
    """Of each label, and of each published row that nobody ran; the same in all panels."""
    rows = [row for of_metric in curves.values() for row in of_metric if cohort.label_of(row) is None]
    return {name: style(place, name) for place, name in enumerate(dict.fromkeys([*labels, *rows]))}


def _ours(axes: Axes, rows: pd.DataFrame, metric: str, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """Mean over seeds; the band reaches from the lowest seed to the highest."""
    shown = averages.by_period(rows, metric)
    low, high = (averages.by_period(rows, metric, how) for how in ("min", "max"))
    for label in (label for label in looks if label in shown.index):
        axes.plot(shown.columns, shown.loc[label], **looks[label])
        axes.fill_between(shown.columns, low.loc[label], high.loc[label], color=looks[label]["color"], alpha=0.2)


def _theirs(axes: Axes, cohort: Cohort, published: Cells, looks: Mapping[str, Mapping[str, Any]]) -> None:
    """In the colour of the setting that stands for the row."""
    for row, curve in published.items():
        ours = cohort.label_of(row)
        values = [figure.value for figure in curve.values()]
        label = f"{row}, published" if ours else f"{row}, published (not run)"
        axes.plot(
            [int(period) for period in curve], values, "--", color=looks[ours or row]["color"], linewidth=1, label=label
        )


def _sources(curves: Mapping[str, Cells]) -> list[str]:
    return list(dict.fromkeys(note for published in curves.values() for note in sources(published)))


def _stem(cohort: Cohort, metrics: Sequence[str], request: Request) -> str:
    """Says what is drawn; the digest parts sets of runs on the same data."""
    asked = cohort.asked
    parts = [*([request.table] if request.table else []), asked.data, *(["synthetic"] if asked.synthetic else [])]
    return re.sub(r"[^\w.=-]+", "-", "_".join([*parts, *metrics, request.test, request.group, asked.name]))
