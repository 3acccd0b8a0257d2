"""How the losses of a run fell, task by task (losses.csv)."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from recretrain.report.runs.run import Run


class Fall(NamedTuple):
    """The losses of one objective: of each task the epochs of all its fits, one after another."""

    objective: str
    tasks: Mapping[int, Sequence[float]]

    @property
    def epochs(self) -> int:
        return sum(map(len, self.tasks.values()))


def falls(run: Run) -> list[Fall]:
    """Of the tasks that answered tested periods, the objective with the most epochs first; none: it fits nothing."""
    tested = sorted(int(task) for task in run.rows.loc[run.rows["test"] == "test", "task"].unique())
    found: dict[str, dict[int, list[float]]] = {}
    for task in tested:
        file = run.folder / "tasks" / str(task) / "losses.csv"
        if not file.is_file():
            continue
        with file.open(newline="") as lines:
            for row in csv.DictReader(lines):
                found.setdefault(row["objective"], {}).setdefault(task, []).append(float(row["loss"]))
    return sorted((Fall(name, tasks) for name, tasks in found.items()), key=lambda fall: -fall.epochs)
