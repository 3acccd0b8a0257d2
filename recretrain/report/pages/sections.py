"""The tables below the results: costs, and differences to one setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report.pages.grids import Cell, Grid, Line, with_deviation
from recretrain.report.papers.card import Unit
from recretrain.report.papers.material import Request
from recretrain.report.runs import averages, compare
from recretrain.report.runs.answers import has_value, kept_values
from recretrain.report.runs.averages import Averages
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.titles import corner, named, span

COSTS = {
    "cpu_seconds": ("CPU s / period", "{:,.2f}"),
    "rows_read": ("rows read / period", "{:,.0f}"),
    "peak_memory_mb": ("peak MB", "{:,.0f}"),
    "trained_parameters": ("trained parameters", "{:,.0f}"),
}


def facts(cohort: Cohort, rows: pd.DataFrame, test: str, group: str, section: str) -> dict[str, str]:
    """The columns that a line of CSV needs beside its figures."""
    asked = cohort.asked
    return {
        "section": section,
        "data": asked.data,
        "data_source": asked.source,
        "data_digest": asked.digest,
        "questions": asked.card["text"],
        "unit": asked.card["unit"],
        "card": asked.questions,
        "test": test,
        "periods": span(rows),
        "group": group,
    }


def costs(cohort: Cohort, labels: Sequence[str], test: str) -> Grid:
    spent = averages.costs(cohort, test)
    body = [Line(label, [_cost(spent, label, name) for name in COSTS]) for label in labels]
    return Grid(f"{named(cohort)}: cost of a period", corner(cohort), [name for name, _ in COSTS.values()], body)


def comparison(
    cohort: Cohort, rows: pd.DataFrame, labels: Sequence[str], base: str, request: Request, unit: Unit
) -> Grid:
    """Each other setting minus the setting `base`."""
    settings = cohort.settings()
    measured = averages.in_order(rows["column"])
    columns = _by_question(measured, set.intersection(*map(kept_values, cohort.runs)))
    others = [label for label in labels if label != base]
    found = {
        label: compare.paired(settings[label], settings[base], columns, request.test, request.group) for label in others
    }

    of_group = "" if request.group == "all" else f" of {request.group}"
    title = f"{named(cohort)}: difference to {base}, question by question{of_group}"
    by_user = all(one.users for differences in found.values() for one in differences)
    header, notes = [f"{name}{unit.mark}" for name in columns], list(_notes(measured, columns, by_user=by_user))
    lines = [Line(label, _differences(differences, unit)) for label, differences in found.items()]
    return Grid(title, corner(cohort), header, lines, notes, extra=("low", "high", "p"))


def _by_question(measured: Sequence[str], kept: set[str]) -> list[str]:
    """The columns that are means over questions, kept or to be made; in place of rmse its square."""
    columns = averages.in_order("mse" if name == "rmse" else name for name in measured)
    if found := [name for name in columns if name in kept or has_value(name)]:
        return found
    raise ReportError(f"none of {', '.join(measured)} has a value of each question, so nothing can be compared")


def _notes(measured: Sequence[str], columns: Sequence[str], *, by_user: bool) -> Iterator[str]:
    yield f"[, ]: 95 % of the mean differences of {compare.DRAWS:,} draws of as many users, with replacement."
    yield f"p: share of {compare.FLIPS:,} random sign flips of users' differences whose mean is as far from 0."
    if not by_user:
        yield "Some runs kept no users: there each question counts as another user's."
    if any(map(averages.is_error, columns)):
        yield "A lower error is better, so a difference below 0 is."
    if "rmse" in measured:
        yield "A question has no root of its own: in place of rmse its square is compared, mse."
    if others := [name for name in measured if name != "rmse" and name not in columns]:
        yield f"Not compared, as no value of each question is kept: {', '.join(others)}."


def _cost(spent: Averages, label: str, name: str) -> Cell:
    style = COSTS[name][1]
    figure = spent.get((label, name))
    if figure is None:
        return Cell()
    return with_deviation(figure.mean, style, figure.deviation or None)  # counts do not vary between seeds


def _differences(found: Sequence[compare.Difference], unit: Unit) -> list[Cell]:
    style = unit.style.replace(":", ":+")
    tail = f" [{style}, {style}] (p={{:.4f}})"
    return [Cell(one.mean * unit.scale, style, (*_scaled(one.interval, unit), one.p_value), tail) for one in found]


def _scaled(interval: tuple[float, float], unit: Unit) -> tuple[float, float]:
    return interval[0] * unit.scale, interval[1] * unit.scale
