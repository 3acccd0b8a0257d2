"""One metric, period by period, a line for each method."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from recretrain.report import sections, tables
from recretrain.report.blocks import Block, blocks
from recretrain.report.errors import ReportError
from recretrain.report.rows import read_runs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENDINGS = ("png", "svg")


def draw(outputs: Path, into: Path, metric: str, test: str, group: str, only: Mapping[str, str]) -> list[Path]:
    """A PNG and an SVG for every set of comparable runs."""
    found = blocks(read_runs(outputs, only))
    drawn: list[Path] = []
    for block in found:
        rows = tables.restricted(tables.measured(block, test, group), [metric])
        if not rows.empty:
            drawn += _save(_figure(block, rows, metric, test, group), into, _stem(block, metric, test, group))
    if found and not drawn:
        measured = tables.in_order(name for block in found for name in tables.measured_columns(block))
        raise ReportError(f"no run has {metric} for test={test}, group={group}; measured: {', '.join(measured)}")
    return drawn


def _figure(block: Block, rows: pd.DataFrame, metric: str, test: str, group: str) -> Figure:
    """Mean over seeds; the band reaches from the lowest seed to the highest."""
    from matplotlib.figure import Figure  # its own canvas: nothing is drawn through pyplot, so no display is needed

    shown = tables.by_period(rows, metric)
    low, high = (tables.by_period(rows, metric, how) for how in ("min", "max"))
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for label in sorted(shown.index, key=lambda label: -shown.loc[label].mean()):
        axes.plot(shown.columns, shown.loc[label], marker="o", markersize=3, label=label)
        axes.fill_between(shown.columns, low.loc[label], high.loc[label], alpha=0.2)
    axes.set(xlabel="period", ylabel=metric, title=sections.title(block, rows, test, group))
    axes.title.set_fontsize("small")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


def _save(figure: Figure, into: Path, stem: str) -> list[Path]:
    into.mkdir(parents=True, exist_ok=True)
    paths = [into / f"{stem}.{ending}" for ending in ENDINGS]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _stem(block: Block, metric: str, test: str, group: str) -> str:
    """Says what is drawn; the digest parts sets of runs on the same data."""
    asked = block.questions
    parts = [asked.data, *(["synthetic"] if asked.synthetic else []), metric, test, group, asked.name]
    return re.sub(r"[^\w.=-]+", "-", "_".join(parts))
