"""The page of an arena: one HTML file that needs nothing beside it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from recretrain import __version__
from recretrain.arena import drawings
from recretrain.arena.arena import Outcome
from recretrain.arena.figures import figure_of
from recretrain.arena.forgetting import memory_of
from recretrain.arena.search import best_of
from recretrain.arena.standings import LEVEL, Standing, cheapest_level
from recretrain.errors import ReportError
from recretrain.report.runs.averages import Average, is_error
from recretrain.report.runs.run import Run


class Line(NamedTuple):
    """A row of the leaderboard."""

    place: int
    method: str
    about: str
    figure: Average
    interval: tuple[float, float] | None
    difference: float | None  # from the best
    adjusted: float | None
    seconds: float
    megabytes: float
    word: str  # how it stands to the best
    taken: bool  # what the verdict says to take


def page(outcome: Outcome) -> str:
    """The whole page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("recretrain.arena", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    found, taken = outcome.standings, cheapest_level(outcome.standings).method
    known = {method: memory_of(runs, outcome.column) for method, runs in outcome.finals.items()}
    memories = {method: memory for method, memory in known.items() if memory is not None}
    return environment.get_template("page.html.jinja").render(
        outcome=outcome,
        version=__version__,
        level=LEVEL,
        lower=is_error(outcome.column),
        lines=list(_lines(outcome)),
        costs=drawings.costs(found, outcome.column),
        periods=drawings.periods(found, outcome.column),
        tested=sorted(found[0].by_period),
        groups=_groups(outcome),
        memories=memories,
        remembered=drawings.memory(memories[taken].matrix, outcome.column) if taken in memories else None,
        taken=taken,
        trials=[_searched(outcome, one.method) for one in outcome.entered.entrants],
        machine=_machine(outcome),
        command=command(outcome),
        runs=[run for runs in outcome.finals.values() for run in runs],
        asked=next(iter(outcome.finals.values()))[0].asked,
    )


def write(outcome: Outcome, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(outcome), encoding="utf-8")


def command(outcome: Outcome) -> str:
    """The command that makes this page again."""
    wish = outcome.wish
    own = [f"trials={outcome.plan.trials}", f"seeds={outcome.plan.seeds}", f"metric={outcome.column}"]
    methods = [] if wish.methods is None else [f"methods={','.join(wish.methods)}"]
    return f"recretrain arena {shlex.join([*wish.words, *methods, *own])}"


def _lines(outcome: Outcome) -> Iterator[Line]:
    about = {one.method: one.about for one in outcome.entered.entrants}
    taken = cheapest_level(outcome.standings)
    for place, one in enumerate(outcome.standings, start=1):
        yield Line(
            place=place,
            method=one.method,
            about=about[one.method],
            figure=one.figure,
            interval=one.interval,
            difference=None if one.to_best is None else one.to_best.mean,
            adjusted=one.adjusted,
            seconds=one.seconds,
            megabytes=max(float(run.costs["peak_memory_mb"].max()) for run in outcome.finals[one.method]),
            word=_word(place, one),
            taken=one is taken,
        )


def _word(place: int, one: Standing) -> str:
    if place == 1:
        return "best"
    if one.adjusted is None:
        return "not compared"
    return "level with the best" if one.level else "worse"


def _groups(outcome: Outcome) -> dict[str, dict[str, float]]:
    """Of each group of questions that some have: the figure of each method, the mean over seeds."""
    found: dict[str, dict[str, float]] = {}
    for method, runs in outcome.finals.items():
        for group in sorted({name for run in runs for name in run.rows["group"]} - {"all"}):
            values = [value for run in runs if (value := _in_group(run, outcome.column, group)) is not None]
            if values:
                found.setdefault(group, {})[method] = sum(values) / len(values)
    return found


def _in_group(run: Run, column: str, group: str) -> float | None:
    try:
        return figure_of(run, column, "test", group=group)
    except ReportError:
        return None


def _searched(outcome: Outcome, method: str) -> dict[str, Any]:
    """The trials of a method, the best of them, and why it has no final run."""
    trials = outcome.searched.get(method, ())
    best = best_of(trials, lower=is_error(outcome.column))
    return {"method": method, "trials": trials, "best": best, "failed": outcome.failed.get(method)}


def _machine(outcome: Outcome) -> list[str]:
    """The versions that made the runs, each set of them once."""
    cards = [run.card for runs in outcome.finals.values() for run in runs]
    told = [", ".join(f"{key} {value}" for key, value in sorted(card.get("versions", {}).items())) for card in cards]
    return sorted({text for text in told if text})
