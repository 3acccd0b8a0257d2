"""Metrics period by period, a panel for each and a line for each method; the paper's dashed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report import results, sections, tables
from recretrain.report.blocks import Block, blocks
from recretrain.report.lines import draw as draw_lines
from recretrain.report.published import Cells, Table
from recretrain.report.rows import Run, read_runs
from recretrain.report.selection import beside, select

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = ("png", "svg")
USUAL = "recall@20"


@dataclass(frozen=True)
class Wish:
    """What `plot` was asked for; see there."""

    table: str | None
    metric: str | None
    test: str
    group: str
    only: Mapping[str, str]


def draw(outputs: Path, into: Path, conf_dir: Path | None, wish: Wish) -> list[Path]:
    """A PNG and an SVG for every set of comparable runs."""
    selection = select(outputs, conf_dir, wish.table, wish.only)
    found = selection.blocks
    drawn: list[Path] = _figures(selection.table, read_runs(outputs, wish.only), into)
    for block, table in found:
        rows = tables.measured(block, wish.test, wish.group)
        metrics = [name for name in _wanted(table, wish) if name in set(rows["column"])]
        if metrics:
            figure = _figure(block, tables.restricted(rows, metrics), table, metrics, wish)
            drawn += _save(figure, into, _stem(block, metrics, wish))
    if found and not drawn:
        measured = tables.in_order(name for block, _ in found for name in tables.measured_columns(block))
        asked = f"{wish.metric or USUAL} for test={wish.test}, group={wish.group}"
        raise ReportError(f"no run has {asked}; measured: {', '.join(measured)}")
    return drawn


def _figures(table: Table | None, runs: Sequence[Run], into: Path) -> list[Path]:
    """A table's own figures, of every set of comparable runs."""
    drawn: list[Path] = []
    for block in blocks(runs) if table else []:
        if table and block.questions.data in table.data:
            for name, lines in table.figures.items():
                stem = f"{table.name}_{name}_{block.questions.data}_{block.questions.name}"
                drawn += draw_lines(lines, block.runs, list(table.groups), into, stem)
    return drawn


def _wanted(table: Table | None, wish: Wish) -> Sequence[str]:
    if wish.metric:
        return [wish.metric]
    curves = table.curves.values() if table else ()
    return tables.in_order(column for columns in curves for column in columns) or [USUAL]


def _figure(block: Block, rows: pd.DataFrame, table: Table | None, metrics: Sequence[str], wish: Wish) -> Figure:
    from matplotlib.figure import Figure  # its own canvas: nothing is drawn through pyplot, so no display is needed

    unit = results.unit_of(table)
    scaled = tables.scaled(rows, unit.scale)
    curves = _published(block, table, metrics, wish)
    colours = _colours(_best_first(scaled, metrics[0]), block, curves)
    figure = Figure(figsize=(7 * len(metrics), 4.5), layout="constrained")
    for axes, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
        _ours(axes, tables.restricted(scaled, [metric]), metric, colours)
        _theirs(axes, block, curves[metric], colours)
        axes.set(xlabel="period", ylabel=f"{metric}{unit.mark}")
        axes.locator_params(axis="x", integer=True, nbins=20)
        axes.grid(alpha=0.3)
    _legend(figure)
    figure.suptitle(sections.title(block, rows, wish.test, wish.group), fontsize="small")
    figure.supxlabel("\n".join(_said(curves)), fontsize="x-small")
    return figure


def _legend(figure: Figure) -> None:
    """One beside all panels: within one it would hide curves."""
    found = [axes.get_legend_handles_labels() for axes in figure.axes]
    lines = {label: line for handles, labels in found for line, label in zip(handles, labels, strict=True)}
    figure.legend(list(lines.values()), list(lines), loc="outside right upper", fontsize="x-small")


def _published(block: Block, table: Table | None, metrics: Sequence[str], wish: Wish) -> dict[str, Cells]:
    """The curves of each metric: of all rows of a table that was asked for, else of those that were run."""
    which = beside(wish.table, wish.test, wish.group)
    found = {metric: results.curves(block, table, which).get(metric, {}) for metric in metrics}
    return {
        metric: {row: curve for row, curve in curves.items() if which == "all" or block.label_of(row)}
        for metric, curves in found.items()
    }


def _best_first(rows: pd.DataFrame, metric: str) -> list[str]:
    means = tables.by_period(rows, metric).mean(axis=1)
    return [str(label) for label in means.sort_values(ascending=False).index]


def _colours(labels: Sequence[str], block: Block, curves: Mapping[str, Cells]) -> dict[str, str]:
    """Of each label, and of each published row that nobody ran; the same in all panels."""
    rows = [row for of_metric in curves.values() for row in of_metric if block.label_of(row) is None]
    return {name: f"C{place}" for place, name in enumerate(dict.fromkeys([*labels, *rows]))}


def _ours(axes: Axes, rows: pd.DataFrame, metric: str, colours: Mapping[str, str]) -> None:
    """Mean over seeds; the band reaches from the lowest seed to the highest."""
    shown = tables.by_period(rows, metric)
    low, high = (tables.by_period(rows, metric, how) for how in ("min", "max"))
    for label in (label for label in colours if label in shown.index):
        axes.plot(shown.columns, shown.loc[label], color=colours[label], marker="o", markersize=3, label=label)
        axes.fill_between(shown.columns, low.loc[label], high.loc[label], color=colours[label], alpha=0.2)


def _theirs(axes: Axes, block: Block, published: Cells, colours: Mapping[str, str]) -> None:
    """In the colour of the setting that stands for the row."""
    for row, curve in published.items():
        ours = block.label_of(row)
        values = [figure.value for figure in curve.values()]
        label = f"{row}, published" if ours else f"{row}, published (not run)"
        axes.plot([int(period) for period in curve], values, "--", color=colours[ours or row], linewidth=1, label=label)


def _said(curves: Mapping[str, Cells]) -> list[str]:
    return list(dict.fromkeys(note for published in curves.values() for note in results.sources(published)))


def _save(figure: Figure, into: Path, stem: str) -> list[Path]:
    into.mkdir(parents=True, exist_ok=True)
    paths = [into / f"{stem}.{ending}" for ending in ENDINGS]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _stem(block: Block, metrics: Sequence[str], wish: Wish) -> str:
    """Says what is drawn; the digest parts sets of runs on the same data."""
    asked = block.questions
    parts = [*([wish.table] if wish.table else []), asked.data, *(["synthetic"] if asked.synthetic else [])]
    return re.sub(r"[^\w.=-]+", "-", "_".join([*parts, *metrics, wish.test, wish.group, asked.name]))
