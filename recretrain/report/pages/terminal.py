"""Tables for a terminal, by rich: no figure is broken, and columns that do not fit stand in a table below."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from recretrain.report.pages.grids import Grid, Line
from recretrain.report.pages.screen import PLAIN, Screen
from recretrain.visible import visible

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

GAP = 2  # between columns
NAMES = 0.4  # of the width is left to names, at least
ENDLESS = 100_000  # columns of a screen without a width
KEPT = "\u2800"  # stands for a blank that rich would take from the end of a cell
NOTE = "  "  # before the notes of a grid
FOLDED = "Tables are folded to {} columns; a wider terminal, or `recretrain report --format csv`, shows rows whole."
BEST, OTHERS = "bold", "dim"  # the best figure of a column; what is not ours


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str], screen: Screen) -> str:
    """The heading, where there is one, each grid under its title, and the notes on all."""
    titles = [screen.strong(_plain(heading, screen))] if heading else []
    below = [_plain(note, screen) for note in notes]
    if screen.width is not None and any(
        len(list(blocks(columns_of(grid, screen), screen.width))) > 1 for grid in grids
    ):
        below.append(FOLDED.format(screen.width))
    parts = [*titles, *(_page(grid, screen) for grid in grids), "\n".join(map(screen.wrapped, below))]
    return "\n\n".join(filter(None, parts)) + "\n"


def _page(grid: Grid, screen: Screen) -> str:
    notes = [screen.wrapped(_plain(note, screen), NOTE) for note in grid.notes]
    title = screen.strong(screen.wrapped(_plain(grid.title, screen)))
    return "\n".join([title, "", table(columns_of(grid, screen), screen), *notes])


class Word(NamedTuple):
    """What stands in a cell, and rich's name of its style."""

    text: str
    style: str = ""


class Column(NamedTuple):
    header: str
    cells: Sequence[Word]
    figures: bool = True  # to the right and never folded; words are to the left

    @property
    def width(self) -> int:
        return _longest([self.header, *(cell.text for cell in self.cells)])

    @property
    def narrowest(self) -> int:
        """Under a header of several lines."""
        return _longest([*self.header.split(), *(cell.text for cell in self.cells)])


def columns_of(grid: Grid, screen: Screen) -> list[Column]:
    """The names of the lines, then their figures; the best of a column has a star, to be seen without bold too."""
    names = [Word(_plain(line.text, screen), _style(line)) for line in grid.lines]
    figures = [
        Column(_plain(name, screen), list(_figures(grid.lines, place, screen)))
        for place, name in enumerate(grid.columns)
    ]
    return [Column(_plain(grid.corner, screen), names, figures=False), *figures]


def records(rows: Sequence[Mapping[str, object]], screen: Screen = PLAIN, style: str = "{:.4f}") -> str:
    """A table of equal records under their keys; `style` writes numbers with a fraction."""
    named = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    columns = [
        Column(
            _plain(name, screen),
            [Word(_plain(_written(value, style), screen)) for value in values],
            all(map(_is_number, values)),
        )
        for name, values in named.items()
    ]
    return table(columns, screen)


def table(columns: Sequence[Column], screen: Screen) -> str:
    """The columns side by side; those that do not fit beside the words of the rows follow below, beside them again."""
    return "\n\n".join(_printed(block, screen) for block in blocks(columns, screen.width))


def blocks(columns: Sequence[Column], width: int | None) -> Iterator[Sequence[Column]]:
    words = [column for column in columns if not column.figures]
    figures = [column for column in columns if column.figures]
    if width is None or _room(columns, width) >= 0 or not figures:
        yield columns
        return
    while figures:
        taken = next((n for n in range(len(figures), 1, -1) if _room([*words, *figures[:n]], width) >= 0), 1)
        yield [*words, *figures[:taken]]
        figures = figures[taken:]


def _room(columns: Sequence[Column], width: int) -> int:
    """Give the width that columns leave which are as narrow as they may be; below 0 they do not fit."""
    return width + GAP - sum(GAP + _least(column, width) for column in columns)


def _least(column: Column, width: int) -> int:
    return min(column.narrowest, width if column.figures else int(NAMES * width))


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Beside what each needs, the room goes to words first, then to the headers of figures."""
    room, found = _room(columns, width), [_least(column, width) for column in columns]
    for place in sorted(range(len(columns)), key=lambda place: columns[place].figures):
        taken = max(0, min(room, columns[place].width - found[place]))
        room, found[place] = room - taken, found[place] + taken
    return found


def _printed(columns: Sequence[Column], screen: Screen) -> str:
    from rich.console import Console

    file = io.StringIO()
    width = ENDLESS if screen.width is None else screen.width
    console = Console(
        file=file,
        width=width,
        force_terminal=screen.styled,
        color_system="standard" if screen.styled else None,
        highlight=False,
    )
    console.print(_laid_out(columns, width, ascii=screen.ascii), crop=False)
    return "\n".join(line.rstrip() for line in file.getvalue().replace(KEPT, " ").splitlines())


def _laid_out(columns: Sequence[Column], width: int, *, ascii: bool) -> Table:
    from rich.box import Box
    from rich.table import Table

    rule = Box("\n".join(["    ", "    ", " -- " if ascii else " ── ", *["    "] * 5]) + "\n", ascii=ascii)
    made = Table(box=rule, show_edge=False, pad_edge=False, padding=(0, 0, 0, GAP - 1), header_style="")
    for column, fixed in zip(columns, _widths(columns, width), strict=True):
        made.add_column(
            column.header,
            justify="right" if column.figures else "left",
            width=fixed if column.figures else None,
            overflow="fold",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        made.add_row(*map(_text, row, (column.figures for column in columns)))
    return made


def _text(word: Word, figure: bool) -> Text:
    from rich.text import Text

    return Text(word.text, word.style, no_wrap=figure or None)


def _figures(lines: Sequence[Line], place: int, screen: Screen) -> Iterator[Word]:
    """The cells of a column, as long behind their figures, so that these stand below each other."""
    cells = [line.cells[place] for line in lines]
    tails = [_plain(cell.tail, screen) + "*" * cell.bold for cell in cells]
    longest = _longest(tails)
    for line, cell, tail in zip(lines, cells, tails, strict=True):
        yield Word(_plain(cell.head, screen) + tail.ljust(longest, KEPT), BEST if cell.bold else _style(line))


def _style(line: Line) -> str:
    return "" if line.kind == "ours" else OTHERS


def _plain(text: str, screen: Screen) -> str:
    """One line without what a terminal would obey; blanks at its beginning stay."""
    return screen.shown(visible(text).replace("\n", " ").replace("\t", " "))


def _written(value: object, style: str) -> str:
    if value is None:
        return ""
    return style.format(value) if isinstance(value, float) else str(value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _longest(texts: Sequence[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, texts), default=0)
