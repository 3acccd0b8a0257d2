"""Text that lay in a file, or was typed, without what a terminal would take for a command."""

from __future__ import annotations

import re
import unicodedata

_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LONGEST = 600  # characters of a line of a message


def visible(text: str) -> str:
    """The text with its control characters, and those that turn its direction, written out; tabs and lines stay."""
    return _HIDDEN.sub(lambda found: _written(found.group()), text)


def one_line(text: str) -> str:
    """The visible text with its breaks of lines written out too, and its middle left out where it is very long."""
    line = visible(text).replace("\n", "\\n").replace("\t", "\\t")
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def message(text: str) -> str:
    """The visible text of a message, of which no line is very long."""
    return "\n".join(map(one_line, text.split("\n")))


def cell(text: str) -> str:
    """The text as one place of a table: visible, on one line."""
    return " ".join(visible(unicodedata.normalize("NFC", text)).split())


def first_line(error: BaseException) -> str:
    """The first line of what went wrong."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _written(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
