"""A line of the table: what we take, what the comparison takes, and the ratio that was asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

from tabulate import tabulate

Work = Callable[[], object]


@dataclass(frozen=True)
class Line:
    what: str
    ours: str
    compared: str
    figure: float
    asked: float
    at_least: bool = True  # else: at most

    @property
    def met(self) -> bool:
        return self.figure >= self.asked if self.at_least else self.figure <= self.asked

    def cells(self) -> list[str]:
        sign = ">=" if self.at_least else "<="
        verdict = "ok" if self.met else "below" if self.at_least else "above"
        return [self.what, self.ours, self.compared, f"{self.figure:.3g}", f"{sign} {self.asked:g}", verdict]


def table(lines: list[Line], before: Mapping[str, float]) -> str:
    """`before`: figures of version 0.1, by the name of the line."""
    headers = ["measured", "ours", "compared with", "figure", "asked", "", "version 0.1"]
    then = (f"{before[line.what]:.3g}" if line.what in before else "" for line in lines)
    return tabulate(
        [[*line.cells(), old] for line, old in zip(lines, then, strict=True)], headers=headers, disable_numparse=True
    )


def faster(what: str, ours: Work, plain: Work, *, asked: float, repetitions: int) -> Line:
    """How many times the CPU seconds of `ours` does `plain` take?"""
    mine, theirs = interleaved(ours, plain, repetitions)
    return Line(what, _seconds(mine), _seconds(theirs), theirs / mine, asked)


def interleaved(first: Work, second: Work, repetitions: int) -> tuple[float, float]:
    """Medians of CPU seconds, taken in turns, so that what else the machine does meets both."""
    times = [(cpu_seconds(first), cpu_seconds(second)) for _ in range(repetitions)]
    return median(a for a, _ in times), median(b for _, b in times)


def repeated(work: Work, times: int) -> None:
    for _ in range(times):
        work()


def cpu_seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"
