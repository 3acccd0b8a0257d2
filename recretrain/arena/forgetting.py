"""What is forgotten: questions of tested periods, asked again after later ones have been learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from recretrain.arena.figures import rows_of
from recretrain.records import AGAIN
from recretrain.report.runs.run import Run

Matrix = Mapping[int, Mapping[int, float]]  # period asked about -> last period learned then -> figure


@dataclass(frozen=True)
class Memory:
    """Figures over seeds, and what Avalanche calls their transfer (Lopez-Paz and Ranzato, 2017)."""

    matrix: Matrix
    forward: float  # the mean figure of a period before it is learned
    learned: float  # of a period once it is learned itself
    backward: float | None  # what later periods add to that; below zero it is forgotten; None: none was asked again


def memory_of(runs: Sequence[Run], column: str) -> Memory | None:
    """None where no question was asked again (`schedule.again`)."""
    found: dict[int, dict[int, list[float]]] = {}
    for run in runs:
        for period, learned, value in _figures(run, column):
            found.setdefault(period, {}).setdefault(learned, []).append(value)
    matrix = {
        period: {learned: fmean(values) for learned, values in sorted(row.items())}
        for period, row in sorted(found.items())
    }
    again = {period: row for period, row in matrix.items() if period in row}  # the period itself has been learned
    if not again:
        return None
    changes = [row[max(row)] - row[period] for period, row in again.items() if max(row) > period]
    return Memory(
        matrix=matrix,
        forward=fmean(row[min(row)] for row in matrix.values()),
        learned=fmean(row[period] for period, row in again.items()),
        backward=fmean(changes) if changes else None,
    )


def _figures(run: Run, column: str) -> list[tuple[int, int, float]]:
    """Period, last period learned, figure: of tests, and of those that were asked again."""
    rows = rows_of(run, column)
    tested = rows[rows["test"] == "test"]
    learned = {int(task): int(period) - 1 for task, period in zip(tested["task"], tested["period"], strict=True)}
    rows = rows[rows["test"].isin(("test", AGAIN)) & rows["task"].isin(learned)]
    return [
        (int(period), learned[int(task)], float(value))
        for task, period, value in zip(rows["task"], rows["period"], rows["value"], strict=True)
    ]
