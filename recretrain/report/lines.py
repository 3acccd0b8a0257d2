"""Figures of a table whose x is not the period: a setting of the runs, or the length of a support."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recretrain.report.rows import Run
from recretrain.report.tables import column_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUPPORT = re.compile(r"(?:(?P<state>.*), )?support (?P<first>\d+)-(?P<last>\d+)$")

Points = Mapping[str, Mapping[str, Mapping[float, list[float]]]]  # panel -> line -> x -> values of the seeds


@dataclass(frozen=True)
class Lines:
    """A panel for each group of the table, a line for each method."""

    title: str
    x: str  # a key of the configuration, such as method.local_steps; or `support`
    y: str  # a column, such as mae
    methods: Sequence[str]

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

    def _plain(self, run: Run) -> bool:
        """Whether nothing but x was changed: another setting is another line."""
        changed = {word.partition("=")[0] for word in run.overrides} - {self.x, "experiment", "data.source"}
        return not {key for key in changed if key.startswith(("method.", "backbone.", "data.", "eval."))}

    def _place(self, run: Run, group: str, groups: Sequence[str]) -> tuple[str, float] | None:
        """Panel and x of a figure of a run, if it has a place."""
        if self.x != "support":
            return (group, float(value_of(run.config, self.x))) if group in groups else None
        span = SUPPORT.match(group)
        if span is None or span["state"] not in groups:
            return None
        return span["state"], (int(span["first"]) + int(span["last"])) / 2


def _of_shared_seeds(line: Mapping[float, Mapping[int, float]]) -> dict[float, list[float]]:
    """The values of the seeds that every x has: else a line would bend where more seeds were run."""
    shared = set.intersection(*(set(seeds) for seeds in line.values()))
    return {x: [value for seed, value in seeds.items() if seed in shared] for x, seeds in line.items() if shared}


def value_of(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def draw(lines: Lines, runs: Sequence[Run], groups: Sequence[str], into: Path, stem: str) -> list[Path]:
    """PNG and SVG, if there is anything to draw; the runs are of one set of comparable ones."""
    points = lines.points(runs, groups)
    if not any(points.values()):
        return []
    figure = _figure(lines, points, any(run.questions.synthetic for run in runs))
    into.mkdir(parents=True, exist_ok=True)
    paths = [into / f"{stem}.{ending}" for ending in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _figure(lines: Lines, points: Points, synthetic: bool) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(points), 3.6), layout="constrained")
    for axes, (panel, of_panel) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items(), strict=True):
        for place, method in enumerate(lines.methods):
            values = sorted(of_panel[method].items()) if method in of_panel else []
            means = [sum(seeds) / len(seeds) for _, seeds in values]
            axes.plot([x for x, _ in values], means, marker="o", markersize=3, color=f"C{place}", label=method)
        axes.set(title=panel, xlabel=lines.x, ylabel=lines.y)
        axes.grid(alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize="x-small")
    figure.suptitle(f"{lines.title}{' (synthetic data)' if synthetic else ''}", fontsize="small")
    return figure
