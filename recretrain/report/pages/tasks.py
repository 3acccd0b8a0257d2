"""Tasks one after another: what each gave when it was learnt, what is left of it after the last one, and its price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from recretrain.report.pages.grids import Cell, Grid, Line, best, with_deviation
from recretrain.report.papers.card import TableCard, Unit
from recretrain.report.runs import averages
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.forgetting import DIFFERENCE, LAST, LEARNT, SECONDS, SOURCE, Story, stories
from recretrain.report.runs.titles import corner

FIXED = "by construction"
FIXED_NOTE = f"{FIXED}: no later task can change these answers, so that nothing was won over forgetting."
PRICES = {  # figures of the task's own update
    "tuned": ("tuned weights", "{:,.0f}"),
    "tuned_share": ("share of all", "{:.2%}"),
    "task_bytes": ("bytes of the task", "{:,.0f}"),
    SECONDS: ("CPU s of the task", "{:,.1f}"),
    SOURCE: ("of the source, once", "{:,.1f}"),
}


def tasks(cohort: Cohort, labels: Sequence[str], columns: Sequence[str], table: TableCard, group: str) -> Grid:
    """A line a setting: one task, by the first of `columns`, the metric of its own."""
    column, unit = columns[0], table.layout.unit
    found = stories(cohort, group, column)
    shown = [label for label in labels if label in found]
    winners = {when: _winners(found, shown, when, column, unit) for when in (LEARNT, LAST)}
    lines = [Line(label, list(_cells(label, found[label], winners, unit))) for label in shown]
    header = [f"{column}{unit.mark} when learnt", "after the last task", "difference"]
    prices = [name for name, _ in PRICES.values()]
    return Grid("", corner(cohort), ["seeds", *header, *prices], lines, list(_notes(found, table, group)))


def _cells(label: str, story: Story, winners: Mapping[str, set[str]], unit: Unit) -> Iterator[Cell]:
    yield Cell(story.figures[LEARNT].seeds, "{:d}")
    for when in (LEARNT, LAST):
        yield _cell(story, when, unit.scale, unit.style, bold=label in winners[when])
    yield Cell(0.0, FIXED) if story.fixed else _cell(story, DIFFERENCE, unit.scale, unit.style.replace(":", ":+"))
    for name, (_, style) in PRICES.items():
        yield _cell(story, name, 1, style)


def _cell(story: Story, name: str, scale: float, style: str, *, bold: bool = False) -> Cell:
    figure = story.figures.get(name)
    if figure is None:
        return Cell()
    deviation = figure.deviation * scale if figure.deviation is not None else None
    if name in PRICES:
        deviation = deviation or None  # counts do not vary between seeds
    return with_deviation(figure.mean * scale, style, deviation, bold=bold)


def _winners(found: Mapping[str, Story], labels: Sequence[str], when: str, column: str, unit: Unit) -> set[str]:
    means = [found[label].figures[when].mean if when in found[label].figures else None for label in labels]
    scaled = [None if mean is None else mean * unit.scale for mean in means]
    won = best(scaled, unit.style, lowest=averages.is_error(column))
    return {label for label, wins in zip(labels, won, strict=True) if wins}


def _notes(found: Mapping[str, Story], table: TableCard, group: str) -> Iterator[str]:
    yield f"{group}: {table.layout.groups[group]}."
    if not any(LAST in story.figures for story in found.values()):
        yield "The last task: nothing was learned after it."
    if any(story.fixed for story in found.values()):
        yield FIXED_NOTE
