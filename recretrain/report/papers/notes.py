"""Charts of what methods noted on their updates: a figure by a note, such as the share tuned, or notes over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from recretrain.records import UPDATE
from recretrain.report.papers.chart import EPOCH, PERIOD, Chart, Points
from recretrain.report.runs.averages import columns_of
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.run import Run


def points_of_notes(chart: Chart, cohort: Cohort, groups: Sequence[str]) -> Points:
    """A panel for each group that has a point, a line for each setting of the rows that the chart names.

    By period: a panel for each setting, a line for each note that `chart.y` begins.
    """
    if chart.x == PERIOD:
        settings = {label: _by_period(chart, runs) for label, runs in _in_order(chart, cohort)}
        return {label: lines for label, lines in settings.items() if lines}
    found: dict[str, dict[str, dict[float, list[float]]]] = {}
    for label, runs in _in_order(chart, cohort):
        for group in groups:
            if line := _line([dict(_points(chart, run, group)) for run in runs]):
                found.setdefault(group, {})[label] = line
    return {group: found[group] for group in groups if group in found}


def _in_order(chart: Chart, cohort: Cohort) -> Iterator[tuple[str, list[Run]]]:
    settings = cohort.settings()
    for row in chart.methods:
        yield from ((label, settings[label]) for label in sorted(settings) if cohort.rows[label] == row)


def _points(chart: Chart, run: Run, group: str) -> Iterator[tuple[float, float]]:
    """The x and y of a run: of the task whose tests are the group."""
    rows = run.rows.assign(column=columns_of(run.rows))
    figures = rows[(rows["test"] == "test") & (rows["group"] == group)]
    notes = rows[(rows["test"] == UPDATE) & rows["period"].isin(figures["period"])]
    if chart.x == EPOCH:
        of_epoch = notes[notes["metric"] == chart.y]
        yield from zip(of_epoch["k"].tolist(), of_epoch["value"].tolist(), strict=True)
    else:
        x, y = notes[notes["column"] == chart.x]["value"], figures[figures["column"] == chart.y]["value"]
        yield from zip(x.tolist()[:1], y.tolist()[:1], strict=False)


def _by_period(chart: Chart, runs: Sequence[Run]) -> dict[str, dict[float, list[float]]]:
    notes = [run.rows[run.rows["test"] == UPDATE] for run in runs]
    names = dict.fromkeys(str(name) for of in notes for name in of["metric"] if str(name).startswith(chart.y))
    named = {name: [of[of["metric"] == name] for of in notes] for name in names}
    lines = {
        name: _line([dict(zip(of["period"].tolist(), of["value"].tolist(), strict=True)) for of in parts])
        for name, parts in named.items()
    }
    return {name: line for name, line in lines.items() if line}


def _line(of_seeds: Sequence[Mapping[float, float]]) -> dict[float, list[float]]:
    """As far as every seed went: else a line would bend where some of them stopped."""
    found: dict[float, list[float]] = defaultdict(list)
    for of_seed in of_seeds:
        for x, y in of_seed.items():
            found[x].append(y)
    return {x: values for x, values in found.items() if len(values) == len(of_seeds)}
