"""Method x metric: ours, and under it the paper's figure and the difference, where the two may be compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from recretrain.report import tables
from recretrain.report.blocks import Block
from recretrain.report.grids import Cell, Grid, Row, best
from recretrain.report.paper import EVIDENCE, Figure, Table
from recretrain.report.tables import Average

Beside = Literal["none", "run", "all"]

METRIC, PERCENT = "{:.4f}", "{:.1f}%"


@dataclass(frozen=True)
class Sheet:
    labels: Sequence[str]
    columns: Sequence[str]
    found: Mapping[tuple[str, str], Average]
    seeds: Mapping[str, int]
    published: Mapping[str, Mapping[str, Figure]]  # label -> column

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
        return {label for label, won in zip(self.labels, best(means, METRIC), strict=True) if won}

    def _cell(self, label: str, name: str, bold: bool) -> Cell:
        figure = self.found.get((label, name))
        if figure is None:
            return Cell()
        return Cell(figure.mean, _style(name), figure.deviation, bold=bold)

    def _beside(self, label: str) -> Iterator[Row]:
        yield published_row(label, self.columns, self.published[label])
        yield Row(label, [Cell(), *(self._difference(label, name) for name in self.columns)], "difference")

    def _difference(self, label: str, name: str) -> Cell:
        ours, theirs = self.found.get((label, name)), self.published[label].get(name)
        if ours is None or theirs is None:
            return Cell()
        return Cell(ours.mean - theirs.value, _style(name).replace(":", ":+"))


def results(block: Block, rows: pd.DataFrame, labels: Sequence[str], table: Table | None, beside: Beside) -> Grid:
    """`beside`: published figures of no method, of those that were run, or of all; only where they are comparable."""
    found = _figures(block, rows, table)
    columns = tables.in_order(name for _, name in found)
    published = table.published_for(block.questions, block.changed_data()) if table and beside != "none" else {}
    seeds = {label: len(runs) for label, runs in block.settings().items()}
    mine = {label: published[method] for method in published if (label := block.label_of(method)) in labels and label}
    body = list(Sheet(labels, columns, found, seeds, mine).rows())
    if beside == "all":
        body += _not_run(block, labels, columns, published)
    notes = [] if table is None or beside == "none" else _notes(block, table, bool(published))
    return Grid("", corner(block), ["seeds", *columns], body, notes)


def corner(block: Block) -> str:
    return "method (synthetic data)" if block.questions.synthetic else "method"


def published_row(name: str, columns: Sequence[str], figures: Mapping[str, Figure]) -> Row:
    cells = [Cell(figures[column].value, _style(column)) if column in figures else Cell() for column in columns]
    one = next(iter(figures.values()))
    return Row(name, [Cell(), *cells], "published", one.source, f"[{one.evidence}]")


def _figures(block: Block, rows: pd.DataFrame, table: Table | None) -> Mapping[tuple[str, str], Average]:
    found = tables.over_seeds(rows)
    reference = block.label_of(table.reference) if table and table.reference else None
    return found if reference is None else tables.with_improvements(found, reference)


def _not_run(
    block: Block, labels: Sequence[str], columns: Sequence[str], published: Mapping[str, Mapping[str, Figure]]
) -> Iterator[Row]:
    for method, figures in published.items():
        if block.label_of(method) not in labels:
            yield Row(method, [Cell() for _ in range(len(columns) + 1)], "not run")
            yield published_row(method, columns, figures)


def _notes(block: Block, table: Table, published: bool) -> list[str]:
    if published:
        source = f"published [{table.evidence}]: {table.source} ({EVIDENCE[table.evidence]})."
        return [source, *table.notes.get(block.questions.data, ())]
    objection = table.objection(block.questions, block.changed_data())
    return [objection] if objection else []


def _style(name: str) -> str:
    return PERCENT if name.startswith("RI ") else METRIC
