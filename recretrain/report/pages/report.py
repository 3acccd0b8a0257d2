"""From a request to the text of a report: gather, lay out, write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from recretrain.errors import ReportError
from recretrain.report.pages import results, sections, tasks
from recretrain.report.pages.formats import write
from recretrain.report.pages.grids import Grid
from recretrain.report.pages.screen import PLAIN, Screen
from recretrain.report.papers.beside import beside
from recretrain.report.papers.card import TableCard
from recretrain.report.papers.material import Material, Request, gather
from recretrain.report.runs import averages
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.reading import shortfalls
from recretrain.report.runs.titles import GROUPS, title


def report(outputs: Path, conf_dir: Path, request: Request, format: str, screen: Screen = PLAIN) -> str:
    found = gather(outputs, conf_dir, request)
    _check_base([cohort for cohort, _ in found.cohorts], request.compare)
    grids = list(_grids_of(found, request, pictures=format == "html"))
    left_out = [note for cohort, _ in found.cohorts for note in _unanswered(cohort, request)]
    left_out += [f"Left out, unfinished (repeat its command to go on): {run}" for run in shortfalls(found.runs)]
    if not grids:
        return "\n".join([_nothing(outputs, [cohort for cohort, _ in found.cohorts], request), *left_out]) + "\n"
    return write(grids, found.table.title, left_out, format, screen)


def _grids_of(found: Material, request: Request, *, pictures: bool) -> Iterator[Grid]:
    for cohort, table in found.cohorts:
        for grid in _section(cohort, table, request):
            if pictures:
                from recretrain.report.pages.pictures import with_picture

                yield with_picture(grid, cohort, table, request.of_group(grid.facts.get("group", "all")))
            else:
                yield grid


def _unanswered(cohort: Cohort, request: Request) -> Iterator[str]:
    """A line for each setting that was asked nothing at all, and so stands in no table."""
    periods = cohort.asked.periods(request.test)
    answered = set(averages.measured(cohort, request.test, "all")["label"])
    for label in cohort.settings() if periods else ():
        if label not in answered:
            asked = f"{request.test} periods {', '.join(map(str, periods))} of {cohort.asked.data}"
            yield f"{label} has no figures: there were no questions in the {asked} ({cohort.asked.card['text']})"


def _check_base(found: Sequence[Cohort], base: str | None) -> None:
    """One cohort that has the setting to compare with is enough: the others are shown without a comparison."""
    if base and found and not any(cohort.label_of(base) for cohort in found):
        settings = dict.fromkeys(label for cohort in found for label in cohort.settings())
        raise ReportError(f"no finished run of {base!r} to compare with; there are: {', '.join(settings)}")


def _section(cohort: Cohort, table: TableCard, request: Request) -> Iterator[Grid]:
    """The groups of a table one by one, then the costs of the runs."""
    groups = list(table.layout.groups) if request.group == "all" and not request.metric else []
    for group in groups or [request.group]:
        yield from _of_group(cohort, table, request.of_group(group), costs=not groups)
    rows = averages.measured(cohort, request.test, "all")
    if groups and not rows.empty:
        yield sections.costs(cohort, _ordered(cohort, rows, table), request.test)


def _of_group(cohort: Cohort, table: TableCard, request: Request, *, costs: bool) -> Iterator[Grid]:
    rows = _wanted(averages.measured(cohort, request.test, request.group), table, request)
    rows = averages.scaled(rows, table.layout.unit.scale)
    if rows.empty:
        return
    labels = _ordered(cohort, rows, table)
    for section, shown, grid in _grids(cohort, rows, labels, table, request):
        if section == "costs" and not costs:
            continue
        heading = grid.title or title(cohort, shown, request.test, request.group)
        facts = sections.facts(cohort, shown, request.test, request.group, section)
        yield replace(grid, title=heading, facts=facts)


def _wanted(rows: pd.DataFrame, table: TableCard, request: Request) -> pd.DataFrame:
    """The rows of the metric that was asked for; else of the table's columns, if any of them was measured."""
    if request.metric:
        return averages.restricted(rows, [request.metric])
    of_table = averages.restricted(rows, table.layout.columns)
    return rows if of_table.empty else of_table


def _grids(
    cohort: Cohort, rows: pd.DataFrame, labels: Sequence[str], table: TableCard, request: Request
) -> Iterator[tuple[str, pd.DataFrame, Grid]]:
    """The tables of a cohort, each with the name of its section and the rows it was made of."""
    if request.metric:
        yield "by period", rows, results.by_period(cohort, rows, labels, table, request.metric, request.beside)
        return
    if table.layout.forgetting and request.test == "test" and request.group in table.layout.groups:
        columns = averages.in_order(rows["column"])
        yield "tasks", rows, tasks.tasks(cohort, labels, columns, table, request.group)
        return
    published = request.beside
    if request.group in table.layout.groups:
        published = beside(request.table, request.test, "all")
    yield "results", rows, results.results(cohort, rows, labels, table, published, request.group)
    if request.table and table.layout.without_last and rows["period"].nunique() > 1:
        shorter = rows[rows["period"] < rows["period"].max()]
        yield "results without last", shorter, results.results(cohort, shorter, labels, table, "none", "all")
    if request.compare and (base := cohort.label_of(request.compare)):
        found = sections.comparison(cohort, rows, labels, base, request, table.layout.unit)
        yield f"difference to {base}", rows, found
    yield "costs", rows, sections.costs(cohort, labels, request.test)


def _ordered(cohort: Cohort, rows: pd.DataFrame, table: TableCard) -> list[str]:
    """As the table lists its rows, then the others, best first by the first metric at its largest k."""
    listed = list(table.rows)
    columns = averages.in_order(rows["column"])
    leading = averages.leading(columns)
    found = averages.over_seeds(rows, table.layout.weigh)
    sign = 1 if averages.is_error(leading) else -1

    def place(label: str) -> tuple[int, float, str]:
        row = cohort.rows[label]
        value = found[label, leading].mean if (label, leading) in found else 0.0
        return (listed.index(row), 0.0, label) if row in listed else (len(listed), sign * value, label)

    return sorted({str(label) for label in rows["label"]}, key=place)


def _nothing(outputs: Path, found: Sequence[Cohort], request: Request) -> str:
    if found:
        return _nothing_measured(found, request)
    asked = [f"of table {request.table}"] if request.table else []
    asked += [f"with {key}={value}" for key, value in request.only.items()]
    cure = f"`recretrain reproduce {request.table}`" if request.table else "`recretrain run method=sml data=yelp`"
    return f"{' '.join([f'No finished run below {outputs}', *asked])}; start one with {cure}."


def _nothing_measured(found: Sequence[Cohort], request: Request) -> str:
    measured = averages.in_order(name for cohort in found for name in averages.measured_columns(cohort))
    if request.metric and request.metric not in measured:
        raise ReportError(f"no run measured {request.metric}; measured: {', '.join(measured)}")
    answered = {str(group) for cohort in found for run in cohort.runs for group in set(run.rows["group"])}
    groups = [*GROUPS, *sorted(answered - GROUPS.keys())]
    if request.group not in groups:
        raise ReportError(f"unknown group {request.group!r}; choose from {', '.join(groups)}")
    return f"The finished runs answered no question of test={request.test}, group={request.group}."
