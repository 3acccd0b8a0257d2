"""What the time allows: which methods, how many trials and how many seeds, by what each first trial took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST_TRIALS = 30
LEAST = 10.0  # seconds: of the first slice of time


@dataclass(frozen=True)
class Plan:
    """The same for all methods, decided once: an arena that was stopped goes on with it."""

    methods: Sequence[str]
    trials: int
    seeds: int
    seconds: float  # that all of it takes, about

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def planned(
    took: Mapping[str, float],
    choices: Mapping[str, bool],
    longer: float,
    budget: float,
    *,
    seeds: int,
    trials: int | None,
) -> Plan:
    """Divide the time: a final run of each method, then trials for up to half of the rest, then more seeds.

    The slowest methods are left out while a final run of each does not fit; one always stays. `took`: seconds of each
    method's first trial. `choices`: whether it has anything to choose. `longer`: how many times as long a final run is.
    `trials`: a number that was asked for.
    """
    kept = sorted(took, key=lambda method: took[method])
    while len(kept) > 1 and (1 + longer) * sum(took[method] for method in kept) > budget:
        kept.pop()
    first, again = sum(took[method] for method in kept), sum(took[method] for method in kept if choices[method])
    left = budget - (1 + longer) * first
    if trials is None:
        trials = 1 + _times(left / 2 if seeds > 1 else left, again, MOST_TRIALS - 1)
    left -= (trials - 1) * again
    seeds = 1 + _times(left, longer * first, seeds - 1)
    return Plan(sorted(kept), trials, seeds, first + (trials - 1) * again + seeds * longer * first)


def slices(budget: float) -> Iterator[float]:
    """Seconds that first trials may take: twice as many each round, so that no quick method waits for a slow one."""
    seconds = max(LEAST, budget / 100)
    while True:
        yield seconds
        seconds *= 2


def _times(seconds: float, each: float, most: int) -> int:
    """How often something fits into the time."""
    return most if not each else max(0, min(most, int(seconds / each)))
