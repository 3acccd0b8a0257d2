"""Method x metric, or x period: ours, and under it the paper's figure, where the two may be compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from recretrain.report import tables
from recretrain.report.blocks import Block
from recretrain.report.grids import SHARE, Cell, Grid, Row, Unit, best
from recretrain.report.published import EVIDENCE, Cells, Figure, Table
from recretrain.report.selection import Beside
from recretrain.report.tables import Average

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

    def rows(self) -> Iterator[Row]:
        winners = {name: self._winners(name) for name in self.columns}
        for label in self.labels:
            cells = [self._cell(label, name, label in winners[name]) for name in self.columns]
            yield Row(label, [Cell(self.seeds[label], "{:d}"), *cells])
            if label in self.published:
                yield from self._beside(label)

    def _winners(self, name: str) -> set[str]:
        if name.startswith("RI "):
            return set()
        means = [self.found[label, name].mean if (label, name) in self.found else None for label in self.labels]
        return {
            label
            for label, won in zip(self.labels, best(means, self.unit.style, lowest=name in tables.ERRORS), strict=True)
            if won
        }

    def _cell(self, label: str, name: str, bold: bool) -> Cell:
        figure = self.found.get((label, name))
        if figure is None:
            return Cell()
        style = _style(name, self.unit)
        return Cell(figure.mean, style, figure.deviation, f" ± {style}", bold)

    def _beside(self, label: str) -> Iterator[Row]:
        yield published_row(label, self.columns, self.published[label], self.unit)
        yield Row(label, [Cell(), *(self._difference(label, name) for name in self.columns)], "difference")

    def _difference(self, label: str, name: str) -> Cell:
        ours, theirs = self.found.get((label, name)), self.published[label].get(name)
        if ours is None or theirs is None:
            return Cell()
        return Cell(ours.mean - theirs.value, _style(name, self.unit).replace(":", ":+"))


def results(
    block: Block,
    rows: pd.DataFrame,
    labels: Sequence[str],
    table: Table | None,
    beside: Beside,
    group: str = "all",
) -> Grid:
    """Means over the periods; published figures only where they are comparable."""
    unit = unit_of(table)
    found = _figures(block, rows, table)
    columns = tables.in_order(name for _, name in found)
    published = table.published_for(block.questions, block.changed_data(), group) if table and beside != "none" else {}
    seeds = {label: len(runs) for label, runs in block.settings().items()}
    body = list(Sheet(labels, columns, found, seeds, of_labels(block, labels, published), unit).rows())
    if beside == "all":
        body += _not_run(block, labels, ["seeds", *columns], published, unit)
    header = ["seeds", *(name if name.startswith("RI ") else f"{name}{unit.mark}" for name in columns)]
    return Grid("", corner(block), header, body, _notes(block, table, beside, published, group))


def by_period(
    block: Block, rows: pd.DataFrame, labels: Sequence[str], table: Table | None, column: str, beside: Beside
) -> Grid:
    """Means over the seeds, period by period."""
    unit = unit_of(table)
    shown = tables.by_period(rows, column)
    periods = [str(int(period)) for period in shown.columns]
    published = curves(block, table, beside).get(column, {})
    mine = of_labels(block, labels, published)
    body = []
    for label in labels:
        body.append(Row(label, [Cell(float(value), unit.style) for value in shown.loc[label].to_numpy()]))
        if label in mine:
            body.append(published_row(label, periods, mine[label], unit, seeds=False))
    if beside == "all":
        body += _not_run(block, labels, periods, published, unit)
    return Grid("", f"{column}{unit.mark}, {corner(block)}", periods, body, sources(published))


def unit_of(table: Table | None) -> Unit:
    return table.unit if table else SHARE


def curves(block: Block, table: Table | None, beside: Beside) -> Mapping[str, Cells]:
    """Published figures of single periods that may stand beside these runs: column -> row -> period."""
    return table.curves_for(block.questions, block.changed_data()) if table and beside != "none" else {}


def of_labels(block: Block, labels: Sequence[str], published: Cells) -> Cells:
    """By the setting that stands for the row."""
    return {label: published[row] for row in published if (label := block.label_of(row)) in labels and label}


def corner(block: Block) -> str:
    return "method (synthetic data)" if block.questions.synthetic else "method"


def sources(published: Cells) -> list[str]:
    figures = (figure for cells in published.values() for figure in cells.values())
    said = dict.fromkeys((figure.evidence, figure.source) for figure in figures)
    return [f"published [{evidence}]: {source} ({EVIDENCE[evidence]})." for evidence, source in said]


def published_row(
    name: str, columns: Sequence[str], figures: Mapping[str, Figure], unit: Unit, seeds: bool = True
) -> Row:
    cells = [Cell(figures[column].value, _style(column, unit)) if column in figures else Cell() for column in columns]
    one = next(iter(figures.values()))
    return Row(name, [*([Cell()] if seeds else []), *cells], "published", one.source, f"[{one.evidence}]")


def _figures(block: Block, rows: pd.DataFrame, table: Table | None) -> Mapping[tuple[str, str], Average]:
    found = tables.over_seeds(rows, table.weigh if table else "questions")
    reference = block.label_of(table.reference) if table and table.reference else None
    return found if reference is None else tables.with_improvements(found, reference)


def _not_run(
    block: Block, labels: Sequence[str], columns: Sequence[str], published: Cells, unit: Unit
) -> Iterator[Row]:
    for row, figures in published.items():
        if block.label_of(row) not in labels:
            yield Row(row, [Cell() for _ in columns], "not run")
            yield published_row(row, columns, figures, unit, seeds=False)


def _notes(block: Block, table: Table | None, beside: Beside, published: Cells, group: str) -> list[str]:
    if table is None:
        return []
    notes = [EQUAL_PERIODS] if table.weigh == "periods" else []
    notes += [f"{group}: {table.groups[group]}."] if group in table.groups else []
    if published:
        return [*notes, *sources(published), *table.notes.get(block.questions.data, ())]
    objection = table.objection(block.questions, block.changed_data()) if beside != "none" else None
    return [*notes, *([objection] if objection else [])]


def _style(name: str, unit: Unit) -> str:
    return IMPROVEMENT if name.startswith("RI ") else unit.style
