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
from recretrain.visible import cell, visible

log = logging.getLogger(__name__)

LATEX = {"\\": r"\textbackslash{}", "±": r"$\pm$", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
MARKUP = re.compile(r"[\\|*`\[\]~]|^#|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")  # of markdown, within a line
FORMULA = ("=", "+", "-", "@")  # what a cell must not begin with
LATEX |= {mark: "\\" + mark for mark in "&%$#_{}"}


class Style(NamedTuple):
    """How one format is written. What stands in a grid may have lain in a file: all of it goes through `plain`."""

    layout: str  # tabulate's name of it
    bold: Callable[[str], str]
    plain: Callable[[str], str]
    heading: Callable[[str], str]
    note: Callable[[str], str]
    page: Callable[[Grid, str, Callable[[str], str]], str]


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str], format: str) -> str:
    """One text: the heading (may be empty), the grids, notes on the whole (logged for CSV, which has no room)."""
    if format == CSV:
        for note in notes:
            log.warning("%s", note)
        return _csv(grids)
    if format not in STYLES:
        raise ReportError(f"unknown format {format!r}; choose from {', '.join(FORMATS)}")
    style = STYLES[format]
    pages = [style.page(grid, _table(grid, style), style.plain) for grid in grids]
    return "\n\n".join([*([style.heading(heading)] if heading else []), *pages, *map(style.note, notes)]) + "\n"


def _table(grid: Grid, style: Style) -> str:
    from tabulate import tabulate

    header = [style.plain(name) for name in [grid.corner, *grid.columns]]
    body = [[style.plain(line.text), *(_cell(figure, style) for figure in line.cells)] for line in grid.lines]
    aligned = ["left", *("right" for _ in grid.columns)]
    with_space = style.layout == "simple"
    return tabulate(body, header, style.layout, disable_numparse=True, colalign=aligned, preserve_whitespace=with_space)


def _cell(figure: Cell, style: Style) -> str:
    text = style.plain(figure.text)
    return style.bold(text) if figure.bold else text


def _terminal_bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if sys.stdout.isatty() else f"{text}*"


def _terminal_page(grid: Grid, table: str, plain: Callable[[str], str]) -> str:
    return "\n".join([plain(grid.title), "", table, *(f"  {plain(note)}" for note in grid.notes)])


def _github_page(grid: Grid, table: str, plain: Callable[[str], str]) -> str:
    return "\n\n".join([f"### {plain(grid.title)}", table, *map(plain, grid.notes)])


def _latex_page(grid: Grid, table: str, plain: Callable[[str], str]) -> str:
    notes = [rf"\par\footnotesize {plain(note)}" for note in grid.notes]
    parts = [r"\begin{table}", r"\centering", rf"\caption{{{plain(grid.title)}}}", table, *notes, r"\end{table}"]
    return "\n".join(parts)


def _html_page(grid: Grid, table: str, plain: Callable[[str], str]) -> str:
    return "\n".join([f"<h3>{plain(grid.title)}</h3>", table, *map(_html_note, grid.notes)])


def _html_heading(heading: str) -> str:
    return f"<h2>{_html(heading)}</h2>"


def _html_note(note: str) -> str:
    return f"<p>{_html(note)}</p>"


def _terminal(text: str) -> str:
    """One line without what a terminal would obey; blanks at its beginning stay."""
    return visible(text).replace("\n", " ").replace("\t", " ")


def _github(text: str) -> str:
    tags = re.sub(r"&(?=#|\w+;)", "&amp;", cell(text)).replace("<", "&lt;").replace(">", "&gt;")
    return MARKUP.sub(r"\\\g<0>", tags)


def _latex(text: str) -> str:
    return re.sub(r"[\\±~^&%$#_{}]", lambda found: LATEX[found.group()], cell(text))


def _html(text: str) -> str:
    return html.escape(cell(text))


def _latex_comment(text: str) -> str:
    return f"% {cell(text)}"


def _in_csv(value: float | str | None) -> float | str | None:
    """A value of which no program of tables makes a formula; figures stay figures."""
    if not isinstance(value, str):
        return value
    shown = cell(value)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def _csv(grids: Sequence[Grid]) -> str:
    """All grids in one file with unrounded figures; the deviation stands in a column of its own."""
    records = [record for grid in grids for record in _records(grid)]
    file = io.StringIO()
    columns = list(dict.fromkeys(key for record in records for key in record))
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writerow({column: _in_csv(column) for column in columns})
    writer.writerows({key: _in_csv(value) for key, value in record.items()} for record in records)
    return file.getvalue()


def _records(grid: Grid) -> list[dict[str, float | str | None]]:
    records = []
    for line in grid.lines:
        source = f"{line.source} {line.evidence}".strip()
        record: dict[str, float | str | None] = {**grid.facts, "row": line.name, "kind": line.kind, "source": source}
        for column, figure in zip(grid.columns, line.cells, strict=True):
            record[column] = figure.value
            named = zip(grid.extra, figure.extra, strict=False)  # a cell may have none of them
            record |= {f"{column} {name}": value for name, value in named}
        records.append(record)
    return records


STYLES = {
    "terminal": Style("simple", _terminal_bold, _terminal, _terminal, _terminal, _terminal_page),
    "github": Style("github", "**{}**".format, _github, lambda text: f"## {_github(text)}", _github, _github_page),
    "latex": Style("latex_raw", r"\textbf{{{}}}".format, _latex, _latex_comment, _latex_comment, _latex_page),
    "html": Style("unsafehtml", "<b>{}</b>".format, _html, _html_heading, _html_note, _html_page),
}
CSV = "csv"
FORMATS = (*STYLES, CSV)
