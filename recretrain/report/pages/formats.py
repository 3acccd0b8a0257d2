"""Writes grids as terminal text, GitHub markdown, LaTeX, HTML or one CSV; FORMATS is light enough for `--help`."""

from __future__ import annotations

import csv
import html
import io
import logging
import re
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from recretrain.errors import ReportError
from recretrain.report.pages.grids import Cell, Grid

log = logging.getLogger(__name__)

LATEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {mark: "\\" + mark for mark in "&%$#_{}"}


class Style(NamedTuple):
    layout: str  # tabulate's name of it
    bold: Callable[[str], str]
    plain: Callable[[str], str]
    heading: Callable[[str], str]
    note: Callable[[str], str]
    page: Callable[[Grid, str], str]


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str], format: str) -> str:
    """One text: the heading (may be empty), the grids, notes on the whole (logged for CSV, which has no room)."""
    if format == CSV:
        for note in notes:
            log.warning("%s", note)
        return _csv(grids)
    if format not in STYLES:
        raise ReportError(f"unknown format {format!r}; choose from {', '.join(FORMATS)}")
    style = STYLES[format]
    pages = [style.page(grid, _table(grid, style)) for grid in grids]
    return "\n\n".join([*([style.heading(heading)] if heading else []), *pages, *map(style.note, notes)]) + "\n"


def _table(grid: Grid, style: Style) -> str:
    from tabulate import tabulate

    header = [style.plain(name) for name in [grid.corner, *grid.columns]]
    body = [[style.plain(line.text), *(_cell(cell, style) for cell in line.cells)] for line in grid.lines]
    aligned = ["left", *("right" for _ in grid.columns)]
    with_space = style.layout == "simple"
    return tabulate(body, header, style.layout, disable_numparse=True, colalign=aligned, preserve_whitespace=with_space)


def _cell(cell: Cell, style: Style) -> str:
    text = style.plain(cell.text)
    return style.bold(text) if cell.bold else text


def _terminal_bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else f"{text}*"


def _terminal_page(grid: Grid, table: str) -> str:
    return "\n".join([grid.title, "", table, *(f"  {note}" for note in grid.notes)])


def _github_page(grid: Grid, table: str) -> str:
    return "\n\n".join([f"### {grid.title}", table, *grid.notes])


def _latex_page(grid: Grid, table: str) -> str:
    notes = [rf"\par\footnotesize {_latex(note)}" for note in grid.notes]
    parts = [r"\begin{table}", r"\centering", rf"\caption{{{_latex(grid.title)}}}", table, *notes, r"\end{table}"]
    return "\n".join(parts)


def _html_page(grid: Grid, table: str) -> str:
    return "\n".join([f"<h3>{html.escape(grid.title)}</h3>", table, *map(_html_note, grid.notes)])


def _html_note(note: str) -> str:
    return f"<p>{html.escape(note)}</p>"


def _html_heading(heading: str) -> str:
    return f"<h2>{html.escape(heading)}</h2>"


def _github_text(text: str) -> str:
    return text.replace("|", r"\|")


def _latex(text: str) -> str:
    return re.sub(r"[\\±~^&%$#_{}]", lambda found: LATEX[found.group()], text)


def _csv(grids: Sequence[Grid]) -> str:
    """All grids in one file with unrounded figures; the deviation stands in a column of its own."""
    records = [record for grid in grids for record in _records(grid)]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(dict.fromkeys(key for record in records for key in record)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


def _records(grid: Grid) -> list[dict[str, float | str | None]]:
    records = []
    for line in grid.lines:
        source = f"{line.source} {line.evidence}".strip()
        record: dict[str, float | str | None] = {**grid.facts, "row": line.name, "kind": line.kind, "source": source}
        for column, cell in zip(grid.columns, line.cells, strict=True):
            record[column] = cell.value
            named = zip(grid.extra, cell.extra, strict=False)  # a cell may have none of them
            record |= {f"{column} {name}": value for name, value in named}
        records.append(record)
    return records


STYLES = {
    "terminal": Style("simple", _terminal_bold, str, str, str, _terminal_page),
    "github": Style("github", "**{}**".format, _github_text, "## {}".format, str, _github_page),
    "latex": Style("latex_raw", r"\textbf{{{}}}".format, _latex, "% {}".format, "% {}".format, _latex_page),
    "html": Style("unsafehtml", "<b>{}</b>".format, html.escape, _html_heading, _html_note, _html_page),
}
CSV = "csv"
FORMATS = (*STYLES, CSV)
