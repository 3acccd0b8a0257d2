"""A report as LaTeX: a floating table for each grid, ruled by booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from recretrain.report.pages.grids import Cell, Grid, Line
from recretrain.visible import cell

MARKS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
MARKS |= {mark: f"\\{mark}" for mark in "&%$#_{}"}
MARKS |= {"±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
SPECIAL = re.compile(f"[{re.escape(''.join(MARKS))}]")
SIGN = re.compile(r"(?<![\w.])-(?=\d)")  # of a negative number
NEEDS = r"% in the preamble: \usepackage{booktabs}"
INDENT = "  "


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str]) -> str:
    above = [NEEDS, *([f"% {cell(heading)}"] if heading else [])]
    tables = ["\n".join(_lines(grid, label)) for grid, label in zip(grids, _labels(grids), strict=True)]
    return "\n\n".join(["\n".join(above), *tables, *(f"% {cell(note)}" for note in notes)]) + "\n"


def escaped(text: str) -> str:
    """Escape what LaTeX would read as commands, so that a paragraph shows the text itself."""
    return SPECIAL.sub(lambda found: MARKS[found.group()], cell(text))


def _lines(grid: Grid, label: str) -> Iterator[str]:
    yield r"\begin{table}"
    yield rf"{INDENT}\centering"
    yield rf"{INDENT}\caption{{{escaped(grid.title)}}}"
    yield rf"{INDENT}\label{{{label}}}"
    yield rf"{INDENT}\begin{{tabular}}{{l{'r' * len(grid.columns)}}}"
    yield from (INDENT * 2 + line for line in _ruled(grid))
    yield rf"{INDENT}\end{{tabular}}"
    yield from (rf"{INDENT}\par\footnotesize {escaped(note)}" for note in grid.notes)
    yield r"\end{table}"


def _ruled(grid: Grid) -> Iterator[str]:
    yield r"\toprule"
    yield _row([escaped(name) for name in (grid.corner, *grid.columns)])
    yield r"\midrule"
    yield from (_row([_name(line), *map(_figure, line.cells)]) for line in grid.lines)
    yield r"\bottomrule"


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\"


def _name(line: Line) -> str:
    """A bracket or a star behind the end of a row would be read as its option."""
    name = re.sub(r"^[\[*]", r"{\g<0>}", escaped(line.text))
    return rf"\quad {name}" if line.text.startswith(" ") else name


def _figure(figure: Cell) -> str:
    text = SIGN.sub("$-$", escaped(figure.text))
    return rf"\textbf{{{text}}}" if figure.bold else text


def _labels(grids: Sequence[Grid]) -> Iterator[str]:
    """`tab:results-yelp2019-all`, with a number behind where a name comes again."""
    met: dict[str, int] = {}
    for grid in grids:
        parts = [grid.facts[key] for key in ("section", "data", "group") if key in grid.facts] or ["table"]
        name = re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-")
        met[name] = met.get(name, 0) + 1
        yield f"tab:{name}" if met[name] == 1 else f"tab:{name}-{met[name]}"
