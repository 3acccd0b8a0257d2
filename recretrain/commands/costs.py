"""What a run will cost, about: what earlier runs of its method on the same data took."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple, TypeAlias

from recretrain.errors import ConfigError
from recretrain.sealed import finished, read_card


class Cost(NamedTuple):
    """Seconds of learning, which evaluation adds to."""

    of_one: float  # task, on average
    of_all: float  # tasks


Costs: TypeAlias = Mapping[tuple[str, str], Cost]  # by data and method


def costs(outputs: Path) -> Costs:
    """The mean cost over the runs below a folder; what cannot be read is passed over."""
    found: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for file in sorted(outputs.glob("*/*/seed=*/run.json")):
        card = _card(file)
        seconds = [
            float(row["wall_seconds"]) for task in finished(file.parent / "tasks") for row in _rows(task / "costs.csv")
        ]
        if card and seconds:
            each = fmean(seconds)
            found[card["data"], card["method"]].append(Cost(each, each * card["tasks"]))
    return {key: Cost(*map(fmean, zip(*all_of_it, strict=True))) for key, all_of_it in found.items()}


def in_words(seconds: float | None) -> str:
    """About how long, in the unit that suits."""
    if seconds is None:
        return "cost unknown"
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"about {seconds / size:.1f} {unit}"
    return f"about {max(1, round(seconds))} s"


def _card(file: Path) -> dict[str, Any] | None:
    try:
        card = read_card(file)
    except ConfigError:
        return None
    return card if {"data", "method", "tasks"} <= card.keys() else None


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))
