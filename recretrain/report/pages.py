"""From a request to the text of a report: read, part, choose a table, lay out, write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report import results, sections, tables
from recretrain.report.blocks import Block
from recretrain.report.formats import write
from recretrain.report.grids import Grid
from recretrain.report.published import Table
from recretrain.report.rows import shortfalls
from recretrain.report.selection import Beside, beside, select


@dataclass(frozen=True)
class Request:
    """What `render` was asked for; see there."""

    table: str | None
    test: str
    group: str
    only: Mapping[str, str]
    compare: str | None
    by_period: str | None
    columns: Sequence[str]

    @property
    def beside(self) -> Beside:
        return beside(self.table, self.test, self.group)

    def check(self) -> None:
        if self.test not in sections.TESTS:
            raise ReportError(f"unknown test {self.test!r}; choose from {', '.join(sections.TESTS)}")

    def of_group(self, group: str) -> "Request":
        return replace(self, group=group)


def pages(outputs: Path, conf_dir: Path, request: Request, format: str) -> str:
    request.check()
    found = select(outputs, conf_dir, request.table, request.only)
    grids = [grid for block, table in found.blocks for grid in _section(block, table, request)]
    left_out = [f"Left out, unfinished (repeat its command to go on): {run}" for run in shortfalls(found.runs)]
    if not grids:
        return "\n".join([_nothing(outputs, [block for block, _ in found.blocks], request), *left_out]) + "\n"
    return write(grids, found.table.title if found.table else "", left_out, format)


def _section(block: Block, table: Table | None, request: Request) -> Iterator[Grid]:
    """The groups of a table one by one, then what the runs cost."""
    groups = list(table.groups) if table and request.group == "all" and not request.by_period else []
    for group in groups or [request.group]:
        yield from _of_group(block, table, request.of_group(group), costs=not groups)
    if groups:
        yield sections.costs(block, _ordered(block, tables.measured(block, request.test, "all"), table), request.test)


def _of_group(block: Block, table: Table | None, request: Request, *, costs: bool) -> Iterator[Grid]:
    rows = _wanted(tables.measured(block, request.test, request.group), table, request)
    rows = tables.scaled(rows, results.unit_of(table).scale)
    if rows.empty:
        return
    labels = _ordered(block, rows, table)
    for section, shown, grid in _grids(block, rows, labels, table, request):
        if section == "costs" and not costs:
            continue
        title = grid.title or sections.title(block, shown, request.test, request.group)
        facts = sections.facts(block, shown, request.test, request.group, section)
        yield replace(grid, title=title, facts=facts)


def _wanted(rows: pd.DataFrame, table: Table | None, request: Request) -> pd.DataFrame:
    """The rows of the columns that were asked for; else of those the table has, if any was measured."""
    if request.columns or request.by_period:
        return tables.restricted(rows, request.columns or [request.by_period or ""])
    of_table = tables.restricted(rows, table.columns if table else ())
    return rows if of_table.empty else of_table


def _grids(
    block: Block, rows: pd.DataFrame, labels: Sequence[str], table: Table | None, request: Request
) -> Iterator[tuple[str, pd.DataFrame, Grid]]:
    """The tables of a block, each with the name of its section and the rows it was made of."""
    if request.by_period:
        shown = results.by_period(block, rows, labels, table, request.by_period, request.beside)
        yield "by period", rows, shown
        return
    published = request.beside
    if table and request.group in table.groups:
        published = beside(request.table, request.test, "all")
    yield "results", rows, results.results(block, rows, labels, table, published, request.group)
    if request.table and table and table.without_last and rows["period"].nunique() > 1:
        shorter = rows[rows["period"] < rows["period"].max()]
        yield "results without last", shorter, results.results(block, shorter, labels, table, "none")
    if request.compare:
        unit = results.unit_of(table)
        found = sections.comparison(block, rows, labels, request.compare, request.test, request.group, unit)
        yield f"difference to {request.compare}", rows, found
    yield "costs", rows, sections.costs(block, labels, request.test)


def _ordered(block: Block, rows: pd.DataFrame, table: Table | None) -> list[str]:
    """As the table lists its rows, then the others, best first by the first metric at its largest k."""
    listed = list(table.rows) if table else []
    columns = tables.in_order(rows["column"])
    leading = [name for name in columns if name.partition("@")[0] == columns[0].partition("@")[0]][-1]
    found = tables.over_seeds(rows, table.weigh if table else "questions")

    def place(label: str) -> tuple[int, float, str]:
        row = block.rows[label]
        value = found[label, leading].mean if (label, leading) in found else 0.0
        return (listed.index(row), 0.0, label) if row in listed else (len(listed), -value, label)

    return sorted({str(label) for label in rows["label"]}, key=place)


def _nothing(outputs: Path, found: Sequence[Block], request: Request) -> str:
    if found:
        return _nothing_measured(found, request)
    asked = [f"of table {request.table}"] if request.table else []
    asked += [f"with {key}={value}" for key, value in request.only.items()]
    cure = f"`recretrain reproduce {request.table}`" if request.table else "`recretrain run method=sml data=yelp`"
    return f"{' '.join([f'No finished run below {outputs}', *asked])}; start one with {cure}."


def _nothing_measured(found: Sequence[Block], request: Request) -> str:
    wanted = request.by_period or ", ".join(request.columns)
    measured = tables.in_order(name for block in found for name in tables.measured_columns(block))
    if wanted and wanted not in measured:
        raise ReportError(f"no run measured {wanted}; measured: {', '.join(measured)}")
    answered = {str(group) for block in found for run in block.runs for group in set(run.rows["group"])}
    groups = [*sections.GROUPS, *sorted(answered - sections.GROUPS.keys())]
    if request.group not in groups:
        raise ReportError(f"unknown group {request.group!r}; choose from {', '.join(groups)}")
    return f"The finished runs answered no question of test={request.test}, group={request.group}."
