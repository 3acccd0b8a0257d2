"""A report as GitHub markdown: a heading, a pipe table and its notes for each grid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from recretrain.report.pages.grids import Cell, Grid
from recretrain.visible import cell

MARKUP = re.compile(r"[\\|*`\[\]~]|^#|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # of markdown, within a line


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str]) -> str:
    title = [f"## {escaped(heading)}"] if heading else []
    parts = [*title, *(part for grid in grids for part in _parts(grid)), *map(escaped, notes)]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Escape a text so that GitHub shows it as it is, on one line."""
    tags = re.sub(r"&(?=#|\w+;)", "&amp;", cell(text)).replace("<", "&lt;").replace(">", "&gt;")
    return MARKUP.sub(r"\\\g<0>", tags)


def _parts(grid: Grid) -> Iterator[str]:
    from tabulate import tabulate

    header = [escaped(name) for name in (grid.corner, *grid.columns)]
    body = [[escaped(line.text), *map(_cell, line.cells)] for line in grid.lines]
    aligned = ["left", *("right" for _ in grid.columns)]
    yield f"### {escaped(grid.title)}"
    yield tabulate(body, header, "github", disable_numparse=True, colalign=aligned)
    yield from map(escaped, grid.notes)


def _cell(figure: Cell) -> str:
    text = escaped(figure.text)
    return f"**{text}**" if figure.bold else text
