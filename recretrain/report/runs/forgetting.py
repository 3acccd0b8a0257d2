"""What the tests of a task gave when it was learned and after the run's last task, and what it took to learn it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from recretrain.records import AGAIN, UPDATE
from recretrain.report.runs.averages import Average, columns_of
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.reading import tidy, tidy_costs

FIXED = "fixed_answers"  # the note of an update after which all that was learned before is answered as it was
NOTED = ("tuned", "tuned_share", "task_bytes")  # notes of an update that say what it took
LEARNT, LAST, DIFFERENCE = "learnt", "last", "difference"
SECONDS, SOURCE = "cpu_seconds", "source_seconds"  # of the task's update, and of the run's first one


class Story(NamedTuple):
    """A task in the runs of one setting."""

    figures: Mapping[str, Average]  # LEARNT, LAST and DIFFERENCE, NOTED, SECONDS and SOURCE, as far as known
    fixed: bool  # no later task changed an answer, nor could


def stories(cohort: Cohort, group: str, column: str) -> dict[str, Story]:
    """By setting: the tested figure of a task, that of its own group, and the same asked again.

    A task that is the last of its run has no LAST and no DIFFERENCE.
    """
    rows = tidy(cohort.runs, cohort.labels)
    rows = rows.assign(column=columns_of(rows))
    figures = rows[(rows["group"] == group) & (rows["column"] == column)]
    learnt = _one_a_run(figures[figures["test"] == "test"])
    found = learnt[["task", "value"]].rename(columns={"value": LEARNT})
    found[LAST] = _one_a_run(figures[figures["test"] == AGAIN])["value"]
    found[DIFFERENCE] = found[LAST] - found[LEARNT]
    notes = rows[(rows["test"] == UPDATE) & (rows["k"] == 0)]
    found = _with_costs(_with_notes(found, notes), tidy_costs(cohort.runs, cohort.labels))
    found = found.assign(fixed=_fixed(found, notes))
    return {
        str(label): Story(_averages(of_label), bool(of_label["fixed"].all()))
        for label, of_label in found.groupby(level="label")
    }


def _one_a_run(rows: pd.DataFrame) -> pd.DataFrame:
    """The newest row of each run.  # indexed by label and seed"""
    return rows.sort_values("task").groupby(["label", "seed"]).last()


def _with_notes(found: pd.DataFrame, notes: pd.DataFrame) -> pd.DataFrame:
    """The notes on the update that learned the task."""
    keys = ["label", "seed", "task"]
    wide = notes.pivot_table(index=keys, columns="column", values="value").reindex(columns=list(NOTED))
    return found.join(wide, on=keys)


def _with_costs(found: pd.DataFrame, costs: pd.DataFrame) -> pd.DataFrame:
    keys = ["label", "seed", "task"]
    source = costs[costs["task"] == 0].set_index(keys[:2])[SECONDS].rename(SOURCE)
    return found.join(costs.set_index(keys)[SECONDS], on=keys).join(source)


def _fixed(found: pd.DataFrame, notes: pd.DataFrame) -> pd.Series[bool]:
    """Whether every update since the task said so, and the answers agree: a promise that is not kept is no fact."""
    said = notes[notes["column"] == FIXED].merge(found["task"].rename("learnt_by").reset_index(), on=["label", "seed"])
    said = said[said["task"] > said["learnt_by"]]
    kept = said.groupby(["label", "seed"])["value"].min().reindex(found.index).fillna(0.0) == 1.0
    return kept & (found[DIFFERENCE] == 0.0)


def _averages(by_seed: pd.DataFrame) -> dict[str, Average]:
    known = {name: by_seed[name].dropna() for name in (LEARNT, LAST, DIFFERENCE, *NOTED, SECONDS, SOURCE)}
    return {
        name: Average(float(values.mean()), float(values.std()) if len(values) > 1 else None, len(values))
        for name, values in known.items()
        if len(values)
    }
