"""Width, styles and letters of a terminal; texts for pipes, files and strings are plain and never folded."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
from typing import NamedTuple, TextIO

SIGNS = "─±…·"  # what an encoding has to have; a translation of each stands in IN_ASCII
IN_ASCII = str.maketrans({"─": "-", "±": "+-", "…": "...", "·": "-"})
TERM = re.compile(r"\s*\S+(?: \S+)*? {2,}")  # the first column of `name   meaning`
DEEPEST = 0.5  # of the width a meaning may be set in


class Screen(NamedTuple):
    """By default all columns, without styles."""

    width: int | None = None  # in columns; None: no line is too long
    styled: bool = False  # bold and grey can be seen
    ascii: bool = False  # no letter beyond ASCII can be shown

    def shown(self, text: str) -> str:
        """The text in letters that can be shown."""
        if not self.ascii:
            return text
        return text.translate(IN_ASCII).encode("ascii", "backslashreplace").decode("ascii")

    def strong(self, text: str) -> str:
        """The text in bold, where that can be seen."""
        return f"\033[1m{text}\033[0m" if self.styled else text

    def wrapped(self, text: str, indent: str = "") -> str:
        """The lines of a text folded between words; `indent` stands before all of them."""
        lines = [self._folded(indent + line, " " * self._hang(indent + line)) for line in text.split("\n")]
        return self.shown("\n".join(lines))

    def _folded(self, line: str, hanging: str) -> str:
        if self.width is None or len(line) <= self.width:
            return line
        return textwrap.fill(
            line, self.width, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
        )  # fmt: skip

    def _hang(self, line: str) -> int:
        """Where the later lines begin: below the meaning of a term, else below the first word."""
        term = TERM.match(line)
        place = term.end() if term else 0
        return place if term and place <= DEEPEST * (self.width or 0) else len(line) - len(line.lstrip())


PLAIN = Screen()


def screen_of(stream: TextIO) -> Screen:
    """Ask a stream for its letters; a terminal for its width (COLUMNS, if set) and styles, too (none with NO_COLOR)."""
    poor = not _encodes(stream.encoding)
    if not stream.isatty():
        return Screen(ascii=poor)
    styled = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Screen(shutil.get_terminal_size().columns, styled, poor)


def _encodes(encoding: str | None) -> bool:
    try:
        SIGNS.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
