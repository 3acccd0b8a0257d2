"""Gathers the runs that a report is made of, each cohort with the table of conf/table that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recretrain.errors import ReportError
from recretrain.report.papers import loading
from recretrain.report.papers.beside import Beside, beside, cells, objection, sources
from recretrain.report.papers.card import PLAIN, Cells, TableCard
from recretrain.report.runs.cohorts import Cohort, cohorts
from recretrain.report.runs.reading import read_runs
from recretrain.report.runs.recipes import chosen
from recretrain.report.runs.run import Run
from recretrain.report.runs.titles import TESTS


@dataclass(frozen=True)
class Request:
    """The arguments of `render` and `plot`, which explain them."""

    table: str | None
    test: str
    group: str
    only: Mapping[str, str]
    metric: str | None  # shown period by period
    compare: str | None = None

    @property
    def beside(self) -> Beside:
        return beside(self.table, self.test, self.group)

    def of_group(self, group: str) -> Request:
        return replace(self, group=group)


@dataclass(frozen=True)
class Material:
    table: TableCard  # the one that was asked for, or a plain one
    read: Sequence[Run]  # unfinished ones too, as in `runs`
    runs: Sequence[Run]  # those of the table
    cohorts: Sequence[tuple[Cohort, TableCard]]  # the finished ones, and a table about their data


def gather(outputs: Path, conf_dir: Path | None, request: Request) -> Material:
    """The runs of the request's table; without one every run, each cohort with the table that knows most of it.

    Raises ReportError for a test or a table that does not exist.
    """
    if request.test not in TESTS:
        raise ReportError(f"unknown test {request.test!r}; choose from {', '.join(TESTS)}")
    table = _load(conf_dir, request.table) if request.table else None
    if table is None:
        read = runs = read_runs(outputs, request.only)
    else:
        read = read_runs(outputs, {**table.scope.only, **request.only})
        runs = chosen([run for run in read if table.has(run)], table.scope.runs, table.row_of)
    known = [table] if table else _all(conf_dir)
    found = [_named(cohort, _fitting(cohort, known)) for cohort in cohorts(runs)]
    return Material(table or PLAIN, read, runs, found)


def _load(conf_dir: Path | None, name: str) -> TableCard:
    if conf_dir is None:
        raise ReportError(f"table {name} was asked for without conf_dir, the folder of the configuration")
    return loading.load(conf_dir, name)


def _all(conf_dir: Path | None) -> list[TableCard]:
    """The tables that runs may be shown by unasked: what is left of a task is another question than its figures."""
    tables = [loading.load(conf_dir, name) for name in loading.names(conf_dir)] if conf_dir else []
    return [table for table in tables if not table.layout.forgetting]


def _fitting(cohort: Cohort, known: Sequence[TableCard]) -> TableCard:
    """The table gives the order of rows, the unit and published figures; of tables that know as much the shortest."""
    about = [table for table in known if table.scope.has(cohort.asked.data)]
    return max(about, key=lambda table: (sum(map(table.has, cohort.runs)), -len(table.rows)), default=PLAIN)


def _named(cohort: Cohort, table: TableCard) -> tuple[Cohort, TableCard]:
    """A method that the table does not list keeps its own name."""
    return cohort.named(lambda run: table.row_of(run) if table.lists(run.method) else run.method), table


def published(runs: Sequence[Run], conf_dir: Path) -> tuple[Cells, list[str]]:
    """Papers' figures for comparable runs, as shares: method -> column; and their sources, or why there are none."""
    (cohort,) = cohorts(runs)
    cohort, table = _named(cohort, _fitting(cohort, _all(conf_dir)))
    found = cells(cohort, table, "run", "all")
    scale = table.layout.unit.scale
    rows = {run.method: cohort.rows[cohort.labels[run.variant]] for run in cohort.runs}
    own = {
        method: {column: replace(figure, value=figure.value / scale) for column, figure in found[row].items()}
        for method, row in rows.items()
        if row in found
    }
    return own, sources(own) or list(filter(None, [objection(cohort, table, "run")]))
