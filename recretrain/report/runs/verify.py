"""Is all that lies below an outputs folder as it was written, and do figures and answers tell the same?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recretrain import sealed
from recretrain.report.runs import reading
from recretrain.report.runs.answers import answers, has_value
from recretrain.report.runs.reading import read_runs
from recretrain.report.runs.run import Run

_CLOSE = 1e-6  # a figure against the mean of its questions: ratings are kept in single precision


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    runs: int
    tasks: int
    unsealed: int  # tasks that were finished before tasks were sealed
    faults: list[str]


def verify(outputs: Path) -> Verified:
    """Look at every file of every finished task, then compare the figures of each run with its answers."""
    runs, tasks, unsealed, faults = read_runs(outputs), 0, 0, list(reading.faults(outputs))
    for run in runs:
        finished = sealed.finished(run.folder / "tasks")
        tasks += len(finished)
        unsealed += sum(not (task / sealed.SEAL).exists() for task in finished)
        damaged = sealed.damage_of(finished)
        faults += damaged or list(_contradictions(run))
        faults += _beyond(run, len(finished))
    return Verified(len(runs), tasks, unsealed, faults)


def _beyond(run: Run, finished: int) -> Iterator[str]:
    """A task that is not whole any more: a folder comes with all its files, in one rename."""
    tasks = run.folder / "tasks"
    later = [path for path in tasks.glob("*") if path.name.isdigit() and int(path.name) >= finished]
    if later:
        yield f"{tasks / str(finished)} lacks files that it was finished with"


def _contradictions(run: Run) -> Iterator[str]:
    """Figures that are not the mean of the answers they were made of; those that can be made again."""
    rows = run.rows[(run.rows["n"] > 0) & run.rows["test"].isin(["choosing", "test"])]
    for (test, group), part in rows.groupby(["test", "group"]):
        columns = sorted({f"{metric}@{int(k)}" for metric, k in zip(part["metric"], part["k"], strict=True)})
        for column in filter(has_value, columns):
            metric, _, k = column.partition("@")
            ours = part[(part["metric"] == metric) & (part["k"] == int(k))]
            if set(ours["period"]) != set(run.asked.periods(str(test))):
                continue  # of a run that is not finished, or a group that some periods lack
            kept = answers(run, [column], str(test), str(group))[0]
            told = float((ours["value"] * ours["n"]).sum() / ours["n"].sum())
            if len(kept) != int(ours["n"].sum()) or not np.isclose(kept.mean(), told, rtol=_CLOSE, atol=_CLOSE):
                told_by = f"{told:.6f} by rows.csv and {kept.mean():.6f} by ranks.npz"
                yield f"{run.folder}: {column} of {group} ({test}) is {told_by}"
