"""The figures of a run in one column, such as recall@20."""

from __future__ import annotations

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report.runs.averages import columns_of
from recretrain.report.runs.run import Run


def rows_of(run: Run, column: str, group: str = "all") -> pd.DataFrame:
    """The rows of a column about a group of questions, of every test."""
    rows = run.rows[(run.rows["group"] == group) & (run.rows["n"] > 0)]
    return rows[[name == column for name in columns_of(rows)]]


def figure_of(run: Run, column: str, test: str, *, period: int | None = None, group: str = "all") -> float:
    """The mean over the questions of a test, or over those of one period. Raises ReportError where there are none."""
    rows = rows_of(run, column, group)
    rows = rows[(rows["test"] == test) & (True if period is None else rows["period"] == period)]
    if rows.empty:
        raise ReportError(f"{run.folder} has no {column} of {test} periods")
    return float((rows["value"] * rows["n"]).sum() / rows["n"].sum())
