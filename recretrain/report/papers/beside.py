"""The published figures that may stand beside a cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from recretrain.report.papers.card import EVIDENCE, Cells, TableCard
from recretrain.report.runs.cohorts import Cohort

Beside = Literal["none", "run", "all"]  # published figures of no row, of those that were run, or of all


def beside(table: str | None, test: str, group: str) -> Beside:
    """Published figures are about all questions of the tested periods."""
    if test != "test" or group != "all":
        return "none"
    return "all" if table else "run"


def cells(cohort: Cohort, table: TableCard, which: Beside, group: str) -> Cells:
    """Published means over the tested periods: row -> column."""
    return {} if which == "none" else table.cells_for(cohort.asked, cohort.changed_data(), group)


def curves(cohort: Cohort, table: TableCard, which: Beside) -> Mapping[str, Cells]:
    """Published figures of single periods: column -> row -> period."""
    return {} if which == "none" else table.curves_for(cohort.asked, cohort.changed_data())


def objection(cohort: Cohort, table: TableCard, which: Beside) -> str | None:
    """Why no published figure stands beside these runs, where one might have."""
    return None if which == "none" else table.objection(cohort.asked, cohort.changed_data())


def of_labels(cohort: Cohort, labels: Sequence[str], published: Cells) -> Cells:
    """Published figures by the setting that stands for their row."""
    return {label: published[row] for row in published if (label := cohort.label_of(row)) in labels and label}


def sources(published: Cells) -> list[str]:
    """One line for each source and kind of evidence."""
    cited = (figure for figures in published.values() for figure in figures.values())
    found = dict.fromkeys((figure.evidence, figure.source) for figure in cited)
    return [f"published [{evidence}]: {source} ({EVIDENCE[evidence]})." for evidence, source in found]
