"""Draw the README's plot from the tables of REPRODUCTION.md: `python scripts/cost_plot.py [SVG]`.

Recall@20 against CPU seconds of a period on yelp2019. The figures stand in the picture's description, too, so that a
test can hold them against the tables.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).parents[1]
TABLES = ROOT / "REPRODUCTION.md"
PLOT = ROOT / "docs/plots/yelp2019_cost.svg"
SECTION = "yelp2019 in 40 equal periods"

GREY = "#808080"  # of text and axes: legible on white and on black
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"  # Okabe and Ito, told apart by the colour-blind
SHOWN = {  # row of the tables: its name in the plot, marker and colour by what a period reads, place of the name
    "full_retrain_bpr": ("full-retrain, BPR", "s", ORANGE, (-8, 8)),
    "full_retrain": ("full-retrain, Adam", "s", ORANGE, (-60, 8)),
    "fine_tune_bpr": ("fine-tune, BPR", "o", BLUE, (8, 4)),
    "fine_tune": ("fine-tune, Adam", "o", BLUE, (9, -10)),
    "sml_gate_bpr_fair": ("SML, gates over BPR", "^", GREEN, (-8, 9)),
    "sml_gate_fair": ("SML, gates", "^", GREEN, (-66, 6)),
    "sml_fresh_start_fair": ("SML, fresh start", "^", GREEN, (-98, -6)),
    "sml": ("SML", "^", GREEN, (8, -4)),
}
MEANING = {"s": "reads all periods", "o": "reads the new period", "^": "SML: the new period and a transfer"}


class Point(NamedTuple):
    """A method's CPU seconds a period and its Recall@20."""

    seconds: float
    recall: float


def points(document: str) -> Mapping[str, Point]:
    """The methods that are shown, as the section's tables have them; raises ValueError where one is missing."""
    section = document.partition(f"## {SECTION}\n")[2].partition("\n## ")[0]
    seconds, recalls = first(section, "CPU s / period"), first(section, "recall@20")
    missing = SHOWN.keys() - (seconds.keys() & recalls.keys())
    if missing:
        raise ValueError(f"{TABLES.name}, {SECTION!r}, has no cost or no Recall@20 of {', '.join(sorted(missing))}")
    return {name: Point(seconds[name], recalls[name]) for name in SHOWN}


def first(section: str, column: str) -> dict[str, float]:
    """What the first table with that column and that method says of each method."""
    found: dict[str, float] = {}
    for row in rows(section):
        figure = re.match(r"\d+\.\d+", row.get(column, ""))
        if figure:
            found.setdefault(row["method"], float(figure[0]))
    return found


def rows(section: str) -> Iterator[dict[str, str]]:
    """The rows of all tables with their headings, bold type left out."""
    head: list[str] = []
    for line in section.splitlines():
        if not line.startswith("|"):
            head = []
        elif not head:
            head = cells(line)
        elif not re.fullmatch(r"[|: -]+", line):
            yield dict(zip(head, cells(line), strict=True))


def cells(line: str) -> list[str]:
    return [cell.strip().strip("*") for cell in line.strip("|").split("|")]


def description(shown: Mapping[str, Point]) -> str:
    """The figures of the plot in words."""
    return "; ".join(f"{name}: {point.recall:.4f} at {point.seconds:g} s" for name, point in shown.items())


def drawn(shown: Mapping[str, Point]) -> Figure:
    """The plot, on whatever is behind it."""
    figure = Figure(figsize=(7.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    for name, point in shown.items():
        label, marker, colour, place = SHOWN[name]
        axes.plot(point.seconds, point.recall, marker, color=colour, markersize=8)
        axes.annotate(label, point, xytext=place, textcoords="offset points", color=GREY)
    for marker, meaning in MEANING.items():
        axes.plot([], [], marker, color=GREY, label=meaning)
    dress(axes)
    return figure


def dress(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.12, 30)
    axes.set_xticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"], minor=False)
    axes.minorticks_off()
    axes.set_ylim(0.21, 0.345)
    axes.set_xlabel("CPU seconds a period", color=GREY)
    axes.set_ylabel("Recall@20, 1 + 999 candidates", color=GREY)
    axes.tick_params(colors=GREY)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.legend(loc="lower left", frameon=False, labelcolor=GREY)


def main(file: Path) -> None:
    """Write the plot; the same tables give the same file."""
    shown = points(TABLES.read_text())
    style = {"svg.fonttype": "none", "svg.hashsalt": "recretrain", "font.size": 10}
    about = {"Title": "yelp2019: quality against cost", "Description": description(shown), "Date": None}
    with mpl.rc_context(style):
        drawn(shown).savefig(file, format="svg", transparent=True, metadata=about)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else PLOT)
