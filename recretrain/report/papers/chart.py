"""A chart of a table beside its curves: by a setting of the runs, the length of a support, a note, or of notes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recretrain.report.runs.averages import column_name, measured, of_seeds
from recretrain.report.runs.cohorts import SAID_ELSEWHERE, WHEREABOUTS, Cohort
from recretrain.report.runs.run import Run, key_of, value_of, within

SUPPORT = re.compile(r"(?:(?P<state>.*), )?support (?P<first>\d+)-(?P<last>\d+)$")
SUPPORT_LENGTH, EPOCH, PERIOD = "support", "epoch", "period"  # an x that is neither a setting nor a note by its name
SETTINGS = ("method", "backbone", "data", "eval")

Line = dict[float, list[float]]  # x -> values of the seeds
Points = Mapping[str, Mapping[str, Line]]  # panel -> line -> points


@dataclass(frozen=True)
class Chart:
    """A panel for each group of the table, a line for each method; x may also be what parts the table (`parted_by`)."""

    title: str
    x: str  # a key, such as method.local.steps; `support`; a note, such as tuned_share; `epoch` or `period`
    y: str  # a column, such as mae; by epoch a note, such as valid_loss; by period what the names of notes begin with
    methods: Sequence[str]  # rows of the table, where x is a note, the epoch, the period or what parts the table

    @property
    def of_notes(self) -> bool:
        """Whether its points are notes (`papers.notes`)."""
        return "." not in self.x and self.x != SUPPORT_LENGTH

    def points(self, runs: Sequence[Run], groups: Sequence[str]) -> Points:
        found: dict[str, dict[str, dict[float, dict[int, float]]]] = {
            group: defaultdict(lambda: defaultdict(dict)) for group in groups
        }
        for run in (run for run in runs if run.complete and run.method in self.methods and self._plain(run)):
            for row in run.rows[run.rows["test"] == "test"].itertuples():
                place = self._place(run, str(row.group), groups)
                if place and column_name(str(row.metric), float(str(row.k))) == self.y:
                    found[place[0]][run.method][place[1]][run.seed] = float(str(row.value))
        return {
            group: {method: _of_shared_seeds(line) for method, line in lines.items()} for group, lines in found.items()
        }

    def points_of_parts(self, found: Sequence[Cohort]) -> Points:
        """A panel for each data set, a line for each row: its figures over all questions, whose x their data tell.

        Cohorts whose data are others in more than x have no point.
        """
        panels: dict[str, dict[str, dict[float, dict[int, float]]]] = {}
        for cohort in found:
            if {key_of(override) for override in cohort.changed_data()} - {self.x}:
                continue
            means, settings = of_seeds(measured(cohort, "test", "all")), cohort.settings()
            for row in self.methods:
                label = cohort.label_of(row) or ""
                for run in settings.get(label, []):
                    x, key = value_of(run.config, self.x), (label, run.seed, self.y)
                    if x is not None and key in means:
                        line = panels.setdefault(cohort.asked.data, {}).setdefault(row, defaultdict(dict))
                        line[float(x)][run.seed] = float(means[key])
        return {data: {row: _of_shared_seeds(line) for row, line in lines.items()} for data, lines in panels.items()}

    def _plain(self, run: Run) -> bool:
        """Whether nothing but x was changed: another setting is another line."""
        changed = {key_of(override) for override in run.overrides} - {*SAID_ELSEWHERE, self.x}
        return not any(within(key, SETTINGS) and not within(key, WHEREABOUTS) for key in changed)

    def _place(self, run: Run, group: str, groups: Sequence[str]) -> tuple[str, float] | None:
        """Panel and x of a figure of a run, if it has a place."""
        if self.x != SUPPORT_LENGTH:
            return (group, float(value_of(run.config, self.x))) if group in groups else None
        span = SUPPORT.match(group)
        if span is None or span["state"] not in groups:
            return None
        return span["state"], (int(span["first"]) + int(span["last"])) / 2


def _of_shared_seeds(line: Mapping[float, Mapping[int, float]]) -> dict[float, list[float]]:
    """The values of the seeds that every x has: else a line would bend where more seeds were run."""
    shared = set.intersection(*(set(seeds) for seeds in line.values()))
    return {x: [value for seed, value in seeds.items() if seed in shared] for x, seeds in line.items() if shared}
