"""Writes grids as terminal text, GitHub markdown, LaTeX, HTML or one CSV; FORMATS is light enough for `--help`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from recretrain.errors import ReportError
from recretrain.report.pages.screen import PLAIN, Screen

if TYPE_CHECKING:
    from recretrain.report.pages.grids import Grid

FORMATS = ("terminal", "github", "latex", "html", "csv")


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str], format: str, screen: Screen = PLAIN) -> str:
    """One text: the heading (may be empty), the grids, a line on their signs, notes on the whole.

    `screen` is what a terminal can show, for that format alone. Raises ReportError for a format that does not exist.
    """
    if format not in FORMATS:
        raise ReportError(f"unknown format {format!r}; choose from {', '.join(FORMATS)}")
    if format == "terminal":
        from recretrain.report.pages import terminal

        return terminal.write(grids, heading, [*legend(grids, "*"), *notes], screen)
    if format == "csv":
        from recretrain.report.pages import csv_table

        return csv_table.write(grids, notes)
    writer = import_module(f"recretrain.report.pages.{format}")
    written: str = writer.write(grids, heading, [*legend(grids, "Bold:"), *notes])
    return written


def legend(grids: Sequence[Grid], best: str) -> Iterator[str]:
    """One line on the signs that stand in the grids, if any does; `best` marks the best figures."""
    lines = [(grid, line) for grid in grids for line in grid.lines]
    signs = [f"{best} the best of its column"] if any(cell.bold for _, line in lines for cell in line.cells) else []
    if any(cell.extra for grid, line in lines for cell in line.cells if grid.extra == ("deviation",)):
        signs.append("± the standard deviation over seeds")
    if any(line.kind == "difference" for _, line in lines):
        signs.append("difference: ours minus the published figure")
    if signs:
        yield f"{'; '.join(signs)}."
