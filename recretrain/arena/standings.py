"""Who stands where: figures with intervals over users, and which differences from the best are no chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

import numpy as np

from recretrain.arena.figures import figure_of
from recretrain.errors import ReportError
from recretrain.report.runs.averages import Average, is_error
from recretrain.report.runs.compare import Difference, interval, paired
from recretrain.report.runs.run import Run

LEVEL = 0.05  # of all comparisons of a table together (Holm)


@dataclass(frozen=True)
class Standing:
    """A method in the final runs."""

    method: str
    figure: Average
    interval: tuple[float, float] | None  # 95 %, of other users like these; None: the answers were not kept
    seconds: float  # CPU seconds of an update, the mean over those behind a tested period
    by_period: Mapping[int, Average]
    to_best: Difference | None = None  # this one minus the best; None for the best, and where answers were not kept
    adjusted: float | None = None  # its p-value, with Holm's step

    @property
    def level(self) -> bool:
        """Whether nothing tells it from the best; False where that cannot be said."""
        return self.adjusted is not None and self.adjusted > LEVEL


def standings(finals: Mapping[str, Sequence[Run]], column: str) -> list[Standing]:
    """The methods by their figures, the best first."""
    lower = is_error(column)
    found = [_standing(method, runs, column) for method, runs in finals.items()]
    found.sort(key=lambda one: (one.figure.mean if lower else -one.figure.mean, one.seconds, one.method))
    return _compared(found, finals, column)


def cheapest_level(found: Sequence[Standing]) -> Standing:
    """The one that costs least of the best and all that nothing tells from it."""
    return min((one for one in found if one is found[0] or one.level), key=lambda one: one.seconds)


def pareto(found: Sequence[Standing]) -> list[Standing]:
    """Those that no other passes at the same cost or less: from the best down to the cheapest."""
    front: list[Standing] = []
    for one in found:  # the best first
        if not front or one.seconds < front[-1].seconds:
            front.append(one)
    return front


def holm(values: Sequence[float]) -> list[float]:
    """Adjusted p-values of a family (Holm, 1979): the k-th smallest of n times n - k + 1, never below one before it."""
    order, worst = np.argsort(values, kind="stable"), 0.0
    adjusted = [0.0] * len(values)
    for place, index in enumerate(order):
        worst = max(worst, min(1.0, values[index] * (len(values) - place)))
        adjusted[index] = worst
    return adjusted


def _standing(method: str, runs: Sequence[Run], column: str) -> Standing:
    by_period = {
        period: _average([figure_of(run, column, "test", period=period) for run in runs])
        for period in runs[0].asked.periods("test")
    }
    return Standing(
        method,
        _average([figure_of(run, column, "test") for run in runs]),
        _interval(runs, column),
        fmean(_seconds(run) for run in runs),
        by_period,
    )


def _compared(found: Sequence[Standing], finals: Mapping[str, Sequence[Run]], column: str) -> list[Standing]:
    best, *others = found
    differences = [_difference(finals[one.method], finals[best.method], column) for one in others]
    known = [difference.p_value for difference in differences if difference is not None]
    adjusted = iter(holm(known))
    return [
        best,
        *(
            replace(one, to_best=difference, adjusted=None if difference is None else next(adjusted))
            for one, difference in zip(others, differences, strict=True)
        ),
    ]


def _difference(ours: Sequence[Run], theirs: Sequence[Run], column: str) -> Difference | None:
    try:
        return paired(ours, theirs, [column], "test", "all")[0]
    except ReportError:
        return None


def _interval(runs: Sequence[Run], column: str) -> tuple[float, float] | None:
    try:
        return interval(runs, column, "test", "all")
    except ReportError:
        return None


def _seconds(run: Run) -> float:
    tested = set(run.rows.loc[run.rows["test"] == "test", "task"])
    return float(run.costs.loc[run.costs["task"].isin(tested), "cpu_seconds"].mean())


def _average(values: Sequence[float]) -> Average:
    return Average(fmean(values), stdev(values) if len(values) > 1 else None, len(values))
