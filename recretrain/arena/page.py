"""The page of an arena: one HTML file that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from recretrain import __version__
from recretrain.arena import drawings
from recretrain.arena.arena import Outcome
from recretrain.arena.figures import figure_of
from recretrain.arena.forgetting import memory_of
from recretrain.arena.learning import Fall, falls
from recretrain.arena.repeat import command, repeated
from recretrain.arena.search import best_of
from recretrain.arena.standings import LEVEL, Standing, cheapest_level
from recretrain.configuration.compose import conf_dir
from recretrain.errors import ReportError
from recretrain.report.pages.html import template
from recretrain.report.papers.card import Cited
from recretrain.report.papers.material import published
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
    published: Cited | None
    word: str  # how it stands to the best
    taken: bool  # what the verdict says to take


class Learning(NamedTuple):
    """How a method learned in its first final run."""

    method: str
    falls: Sequence[Fall]
    svg: str  # of the first of them


def page(outcome: Outcome) -> str:
    """The whole page."""
    runs = [run for of_method in outcome.finals.values() for run in of_method]
    cited, sources = published(runs, conf_dir())
    return template("page.html.jinja", "recretrain.arena").render(
        outcome=outcome,
        version=__version__,
        level=LEVEL,
        lower=is_error(outcome.column),
        lines=list(_lines(outcome, {method: figures.get(outcome.column) for method, figures in cited.items()})),
        sources=sources,
        costs=drawings.costs(outcome.standings, outcome.column),
        periods=drawings.periods(outcome.standings, outcome.column),
        tested=sorted(outcome.standings[0].by_period),
        groups=_groups(outcome),
        learning=list(_learning(outcome)),
        trials=[_searched(outcome, one.method) for one in outcome.entered.entrants],
        made=[repeated(outcome, one.method) for one in outcome.standings],
        machine=_machine(runs),
        command=command(outcome),
        asked=runs[0].asked,
        **_remembered(outcome),
    )


def write(outcome: Outcome, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page(outcome), encoding="utf-8")


def _lines(outcome: Outcome, cited: Mapping[str, Cited | None]) -> Iterator[Line]:
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
            published=cited.get(one.method),
            word=_word(place, one),
            taken=one is taken,
        )


def _word(place: int, one: Standing) -> str:
    if place == 1:
        return "best"
    if one.adjusted is None:
        return "not compared"
    return "level" if one.level else "worse"


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


def _remembered(outcome: Outcome) -> dict[str, Any]:
    """What was forgotten by each method, and the heat map of the one that the verdict takes."""
    taken = cheapest_level(outcome.standings).method
    known = {method: memory_of(runs, outcome.column) for method, runs in outcome.finals.items()}
    memories = {method: memory for method, memory in known.items() if memory is not None}
    drawn = drawings.memory(memories[taken].matrix, outcome.column) if taken in memories else None
    return {"taken": taken, "memories": memories, "remembered": drawn}


def _learning(outcome: Outcome) -> Iterator[Learning]:
    for one in outcome.standings:
        if found := falls(outcome.finals[one.method][0]):
            yield Learning(one.method, found, drawings.losses(found[0]))


def _searched(outcome: Outcome, method: str) -> dict[str, Any]:
    """The trials of a method, the best of them, and why it has no final run."""
    trials = outcome.searched.get(method, ())
    best = best_of(trials, lower=is_error(outcome.column))
    return {"method": method, "trials": trials, "best": best, "failed": outcome.failed.get(method)}


def _machine(runs: Sequence[Run]) -> list[str]:
    """The versions and the device that made the runs, each set of them once."""
    return list(dict.fromkeys(_made_by(run.card) for run in runs))


def _made_by(card: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(card["versions"].items()))
    threads = f"{card['threads']} thread{'s' * (card['threads'] > 1)}"
    return f"{versions}; {card['device']}, {threads}, precision {card['precision']}"
