"""A report as one CSV: unrounded figures, and beside each what stands in the same cell of other formats."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence

from recretrain.report.pages.grids import Grid, Line
from recretrain.visible import cell

log = logging.getLogger(__name__)

Value = float | str | None
FORMULA = ("=", "+", "-", "@")  # what a cell must not begin with


def write(grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """A row for each line of each grid; columns that a grid has not are empty. Notes are logged: there is no room."""
    for note in notes:
        log.warning("%s", note)
    records = [_record(grid, line) for grid in grids for line in grid.lines]
    file = io.StringIO()
    columns = list(dict.fromkeys(key for record in records for key in record))
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writerow({column: _safe(column) for column in columns})
    writer.writerows({key: _safe(value) for key, value in record.items()} for record in records)
    return file.getvalue()


def _record(grid: Grid, line: Line) -> dict[str, Value]:
    source = f"{line.source} {line.evidence}".strip()
    record: dict[str, Value] = {**grid.facts, "row": line.name, "kind": line.kind, "source": source}
    for column, figure in zip(grid.columns, line.cells, strict=True):
        named = zip(grid.extra, figure.extra, strict=False)  # a cell may have none of them
        record |= {column: figure.value, **{f"{column} {name}": value for name, value in named}}
    return record


def _safe(value: Value) -> Value:
    """A value of which no program of tables makes a formula; figures stay figures."""
    if not isinstance(value, str):
        return value
    shown = cell(value)
    return f"'{shown}" if shown.startswith(FORMULA) else shown
