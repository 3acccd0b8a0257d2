"""What a period costs a method early and late in a stream of 40: SML must not pay for history, full-retrain does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
from tabulate import tabulate

from benchmarks.measure import Line
from recretrain.configuration.compose import compose
from recretrain.engine.build import experiment
from recretrain.engine.costs import Meter
from recretrain.engine.fitter import Fitter
from recretrain.engine.seeds import seed_task

CPU = torch.device("cpu")
STREAM = [
    "data=yelp",
    "data.source=synthetic",
    "data.filters.k_core=0",
    "data.generator.reviews=40000",
    "data.generator.users=800",
    "data.generator.items=600",
    "schedule.start=1",
    "schedule.first_test=2",
    "schedule.warm_up=start",
    "eval.questions.candidates=99",
    "backbone.embedding_size=32",
    "method.pretraining.epochs=1",
    "trainer.device=cpu",
]
METHODS = {
    "sml": ["method.loops=3", "method.transfer.network.hidden=64", "method.fresh.batch_size=256"],
    "full_retrain": ["method.learner.epochs=2"],
}


def lines(folder: Path) -> Iterator[Line]:
    history = History(folder)
    yield from history.lines()
    print(f"\nWhat a period costs along a stream of 40\n\n{history.table()}\n")


@dataclass(frozen=True, order=True)
class Cost:
    cpu_seconds: float
    rows_read: int


class History:
    """Runs each method twice, in turns; keeps the smaller cost of every period."""

    def __init__(self, folder: Path) -> None:
        runs = [
            {name: costs([f"method={name}", *options], folder) for name, options in METHODS.items()} for _ in range(2)
        ]
        self._costs = {name: list(map(min, *(run[name] for run in runs))) for name in METHODS}

    def lines(self) -> Iterator[Line]:
        asked = {"sml": (1.25, 1.01, False), "full_retrain": (2.0, 2.0, True)}
        for name, periods in self._costs.items():
            seconds, rows, at_least = asked[name]
            early, late = thirds([cost.cpu_seconds for cost in periods])
            yield Line(
                f"{name}: CPU of a late period over an early one",
                f"{late * 1000:.0f} ms",
                f"{early * 1000:.0f} ms",
                late / early,
                seconds,
                at_least,
            )
            early, late = thirds([cost.rows_read for cost in periods])
            what = f"{name}: rows read for a late period over an early one"
            yield Line(what, f"{late:.0f}", f"{early:.0f}", late / early, rows, at_least)

    def table(self) -> str:
        """Five stretches of the stream, medians."""
        count = min(len(periods) for periods in self._costs.values())
        borders = [count * part // 5 for part in range(6)]
        body = [[f"{a + 2}-{b + 1}", *self._figures(slice(a, b))] for a, b in pairwise(borders)]
        headers = ["period", *(f"{name}, {what}" for name in self._costs for what in ("CPU s", "rows read"))]
        return tabulate(body, headers=headers, floatfmt="g")

    def _figures(self, stretch: slice) -> list[float]:
        return [
            round(median(figure), 3)
            for periods in self._costs.values()
            for figure in ([c.cpu_seconds for c in periods[stretch]], [c.rows_read for c in periods[stretch]])
        ]


def costs(overrides: Sequence[str], folder: Path) -> list[Cost]:
    """Of every update from the third on: the warm-up is longer, and SML's first period has no yesterday."""
    config, choices = compose([*STREAM, *overrides, f"paths.cache={folder}", f"paths.data={folder}"])
    asked = experiment(config, choices=choices, overrides=[])
    stream, method = asked.stream, asked.method()
    for period in range(1, len(stream)):
        stream.questions(period)  # candidates are drawn once for all runs, as evaluation does
    meters: list[Meter] = []
    for index, make_task in enumerate(asked.schedule.tasks(stream, lambda what, rows: meters[-1].on_read(what, rows))):
        meters.append(Meter(CPU))
        method.update(make_task(), Fitter(CPU, seed_task(0, index, CPU), "32-true"))
        meters[-1].stop()
    return [Cost(meter.cpu_seconds, meter.rows_read) for meter in meters[2:]]


def thirds(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and of the last third."""
    third = len(values) // 3
    return median(values[:third]), median(values[-third:])
