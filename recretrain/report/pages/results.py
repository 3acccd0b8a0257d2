"""Method x metric, or x period: ours, and under it the paper's figure, where the two may be compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from recretrain.report.pages.grids import Cell, Grid, Line, best, with_deviation
from recretrain.report.papers.beside import Beside, cells, curves, objection, of_labels, sources
from recretrain.report.papers.card import Cells, Cited, TableCard, Unit
from recretrain.report.runs import averages
from recretrain.report.runs.averages import Average
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.titles import corner

IMPROVEMENT = "{:.1f}%"
EQUAL_PERIODS = "Each figure is the plain mean of the periods' values, whatever their numbers of questions."


@dataclass(frozen=True)
class Sheet:
    labels: Sequence[str]
    columns: Sequence[str]
    found: Mapping[tuple[str, str], Average]
    seeds: Mapping[str, int]
    published: Cells  # label -> column
    unit: Unit

    def lines(self) -> Iterator[Line]:
        winners = {name: self._winners(name) for name in self.columns}
        for label in self.labels:
            figures = [self._cell(label, name, label in winners[name]) for name in self.columns]
            yield Line(label, [Cell(self.seeds[label], "{:d}"), *figures])
            if label in self.published:
                yield from self._beside(label)

    def _winners(self, name: str) -> set[str]:
        if averages.is_fact(name):
            return set()
        means = [self.found[label, name].mean if (label, name) in self.found else None for label in self.labels]
        won = best(means, self.unit.style, lowest=averages.is_error(name))
        return {label for label, wins in zip(self.labels, won, strict=True) if wins}

    def _cell(self, label: str, name: str, bold: bool) -> Cell:
        figure = self.found.get((label, name))
        if figure is None:
            return Cell()
        style = _style(name, self.unit)
        return with_deviation(figure.mean, style, figure.deviation, bold=bold)

    def _beside(self, label: str) -> Iterator[Line]:
        yield published_line(label, self.columns, self.published[label], self.unit)
        yield Line(label, [Cell(), *(self._difference(label, name) for name in self.columns)], "difference")

    def _difference(self, label: str, name: str) -> Cell:
        ours, theirs = self.found.get((label, name)), self.published[label].get(name)
        if ours is None or theirs is None:
            return Cell()
        return Cell(ours.mean - theirs.value, _style(name, self.unit).replace(":", ":+"))


def results(
    cohort: Cohort,
    rows: pd.DataFrame,
    labels: Sequence[str],
    table: TableCard,
    beside: Beside,
    group: str,
) -> Grid:
    """Means over the periods; published figures only where they are comparable."""
    unit = table.layout.unit
    found = _figures(cohort, rows, table)
    columns = averages.in_order(name for _, name in found)
    published = cells(cohort, table, beside, group)
    seeds = {label: len(runs) for label, runs in cohort.settings().items()}
    body = list(Sheet(labels, columns, found, seeds, of_labels(cohort, labels, published), unit).lines())
    if beside == "all":
        body += _not_run(cohort, labels, ["seeds", *columns], published, unit)
    header = ["seeds", *(name if name.startswith("RI ") else f"{name}{unit.mark}" for name in columns)]
    notes = [*_improvements(cohort, columns, table), *_keys(cohort), *_notes(cohort, table, beside, published, group)]
    return Grid("", corner(cohort), header, body, notes)


def by_period(
    cohort: Cohort, rows: pd.DataFrame, labels: Sequence[str], table: TableCard, column: str, beside: Beside
) -> Grid:
    """Means over the seeds, period by period."""
    unit = table.layout.unit
    shown = averages.by_period(rows, column)
    periods = [str(int(period)) for period in shown.columns]
    published = curves(cohort, table, beside).get(column, {})
    theirs = of_labels(cohort, labels, published)
    body = []
    for label in labels:
        body.append(Line(label, [Cell(float(value), unit.style) for value in shown.loc[label].to_numpy()]))
        if label in theirs:
            body.append(published_line(label, periods, theirs[label], unit, seeds=False))
    if beside == "all":
        body += _not_run(cohort, labels, periods, published, unit)
    return Grid("", f"{column}{unit.mark}, {corner(cohort)}", periods, body, sources(published))


def published_line(
    name: str, columns: Sequence[str], figures: Mapping[str, Cited], unit: Unit, seeds: bool = True
) -> Line:
    found = [Cell(figures[column].value, _style(column, unit)) if column in figures else Cell() for column in columns]
    one = next(iter(figures.values()))
    return Line(name, [*([Cell()] if seeds else []), *found], "published", one.source, f"[{one.evidence}]")


def _figures(cohort: Cohort, rows: pd.DataFrame, table: TableCard) -> Mapping[tuple[str, str], Average]:
    found = averages.over_seeds(rows, table.layout.weigh)
    reference = cohort.label_of(table.layout.reference) if table.layout.reference else None
    return found if reference is None else averages.with_improvements(found, reference)


def _not_run(
    cohort: Cohort, labels: Sequence[str], columns: Sequence[str], published: Cells, unit: Unit
) -> Iterator[Line]:
    for row, figures in published.items():
        if cohort.label_of(row) not in labels:
            yield Line(row, [Cell() for _ in columns], "not run")
            yield published_line(row, columns, figures, unit, seeds=False)


def _improvements(cohort: Cohort, columns: Sequence[str], table: TableCard) -> Iterator[str]:
    if any(name.startswith("RI ") for name in columns):
        reference = cohort.label_of(table.layout.reference or "")
        yield f"RI: by how much {reference} is better than the row, in percent of the row, the mean over the cut-offs."


def _keys(cohort: Cohort) -> Iterator[str]:
    if keys := cohort.keys():
        yield f"In names: {', '.join(f'{short} is {key}' for short, key in keys.items())}."


def _notes(cohort: Cohort, table: TableCard, beside: Beside, published: Cells, group: str) -> list[str]:
    notes = [EQUAL_PERIODS] if table.layout.weigh == "periods" else []
    notes += [f"{group}: {table.layout.groups[group]}."] if group in table.layout.groups else []
    if published:
        return [*notes, *sources(published), *table.published.notes.get(cohort.asked.data, ())]
    return [*notes, *filter(None, [objection(cohort, table, beside)])]


def _style(name: str, unit: Unit) -> str:
    return IMPROVEMENT if name.startswith("RI ") else unit.style
