"""A table as data: named lines of cells, before anyone decides how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """A figure, those behind it in the same cell (a deviation; an interval and a p-value), and how all are written."""

    value: float | None = None
    style: str = "{:.4f}"
    extra: tuple[float, ...] = ()
    extra_style: str = " ± {:.4f}"
    bold: bool = False

    @property
    def text(self) -> str:
        return self.head + self.tail

    @property
    def head(self) -> str:
        """The figure alone."""
        return "" if self.value is None else self.style.format(self.value)

    @property
    def tail(self) -> str:
        """The deviation or interval behind the figure, such as ` ± 0.0031`."""
        return "" if self.value is None or not self.extra else self.extra_style.format(*self.extra)


def with_deviation(value: float, style: str, deviation: float | None, *, bold: bool = False) -> Cell:
    """A mean, and how far the seeds are from it; None: there is one seed."""
    return Cell(value, style, () if deviation is None else (deviation,), f" ± {style.replace('+', '')}", bold)


@dataclass(frozen=True)
class Line:
    name: str
    cells: Sequence[Cell]
    kind: str = "ours"  # ours | published | difference | not run
    source: str = ""  # of published figures
    evidence: str = ""

    @property
    def text(self) -> str:
        names = {"ours": self.name, "not run": f"{self.name} (not run)"}
        return names.get(self.kind) or f"  {self.kind} {self.evidence}".rstrip()


@dataclass(frozen=True)
class Picture:
    """A plot beside a grid, with all that a reader needs who does not see it."""

    svg: str
    about: str  # what it shows, in a few words
    caption: str
    numbers: Grid


@dataclass(frozen=True)
class Grid:
    title: str
    corner: str  # above the names of the lines
    columns: Sequence[str]
    lines: Sequence[Line]
    notes: Sequence[str] = ()
    facts: Mapping[str, str] = field(default_factory=dict)  # what a line needs once it leaves its table
    extra: tuple[str, ...] = ("deviation",)  # the names of the cells' `extra`
    picture: Picture | None = None  # for a page


def best(values: Sequence[float | None], style: str = "{:.4f}", *, lowest: bool = False) -> list[bool]:
    """Which values are the best as they will be printed; nobody wins alone or where all are equal."""
    choose = min if lowest else max
    shown = [None if value is None else float(style.format(value)) for value in values]
    known = {value for value in shown if value is not None}
    return [value is not None and len(known) > 1 and value == choose(known) for value in shown]
