"""Text of files and of command lines is shown without what a terminal would obey."""

from __future__ import annotations

import unicodedata

from recretrain.visible import cell, message, one_line, visible

EVERY = "".join(map(chr, range(0x110000)))


def test_no_control_character_is_left_but_tabs_and_lines() -> None:
    left = {letter for letter in visible(EVERY) if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")}

    assert left == {"\t", "\n"}
    assert not set(visible(EVERY)) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    visible(EVERY).encode()


def test_what_is_hidden_is_written_out() -> None:
    assert visible("\x1b[31mred\x07 \x9b \u202e") == "\\x1b[31mred\\x07 \\x9b \\u202e"
    assert visible("日本 é ✓") == "日本 é ✓"


def test_a_line_is_one_and_not_endless() -> None:
    assert one_line("a\nb\tc") == "a\\nb\\tc"
    assert len(one_line("x" * 10_000)) < 700
    assert message("a\x1b\n" + "y" * 10_000).count("\n") == 1
    assert cell("  a \n b\x1b ") == "a b\\x1b"
