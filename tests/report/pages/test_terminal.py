"""What is printed: as wide as the terminal, nothing broken, nothing lost."""

from __future__ import annotations

import io
import re

import pytest

from recretrain.report.pages.formats import write
from recretrain.report.pages.grids import Cell, Grid, Line
from recretrain.report.pages.screen import PLAIN, Screen, screen_of
from recretrain.report.pages.terminal import records

METRICS = [f"{metric}@{k}" for metric in ("recall", "ndcg") for k in (5, 10, 20)]
FIGURES = {(name, metric): 0.1 + place / 1000 + row / 100
           for row, name in enumerate(["fine_tune", "sml (epochs=2, learning_rate=0.003)"])
           for place, metric in enumerate(METRICS)}  # fmt: skip
GRID = Grid(
    "yelp: tested periods 33-39, 1 + 999 candidates, 70 questions",
    "method",
    METRICS,
    [
        *(Line(name, [Cell(FIGURES[name, metric], extra=(0.25,) if row else (), bold=bool(row)) for metric in METRICS])
          for row, name in enumerate(dict.fromkeys(name for name, _ in FIGURES))),
        Line("sml", [Cell(0.4748) for _ in METRICS], "published", "the paper", "[S]"),
    ],
    ["published [S]: a paper with a long title, of which not all fits on one line of a narrow terminal."],
)  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(**screen: object) -> str:
    return write([GRID], "Table 1", [], "terminal", Screen(**screen))  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [50, 60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal_and_every_figure_is_whole(width: int) -> None:
    text = shown(width=width)

    assert max(map(len, text.splitlines())) <= width
    assert all(f"{value:.4f}" in text for value in FIGURES.values())
    assert text.count("0.2500*") == len(METRICS)
    assert [text.count(metric) for metric in METRICS] == [1] * len(METRICS)


def test_columns_that_do_not_fit_stand_below_beside_the_names_again() -> None:
    text = shown(width=80)

    blocks = [block for block in text.split("\n\n") if block.startswith("method")]
    assert len(blocks) > 1
    assert all("fine_tune" in block and "published [S]" in block for block in blocks)
    assert "Tables are folded to 80 columns" in text
    assert "--format csv" in text
    assert "folded" not in shown(width=200)


def test_headers_and_names_are_folded_before_a_column_moves_below() -> None:
    row = {"method": "sml (epochs=2, loops=3)", "rows read / period": 12345, "trained parameters": 82560}

    text = records([row], Screen(32))

    assert "\n\n" not in text
    assert max(map(len, text.splitlines())) <= 32
    assert [word in text for word in ("12345", "82560", "parameters", "rows")] == [True] * 4


def test_a_pipe_gets_a_line_for_each_row_however_long() -> None:
    lines = shown().splitlines()

    assert [line.split()[0] for line in lines if "0." in line] == ["fine_tune", "sml", "published"]
    assert "\033" not in shown()
    assert any(line.endswith("of a narrow terminal.") and "published [S]: a paper" in line for line in lines)


def test_figures_stand_below_each_other() -> None:
    rows = [line for line in shown().splitlines() if "0." in line]

    places = [[found.start() for found in re.finditer(r"(?<!± )0\.\d{4}", row)] for row in rows[:2]]
    assert [place for place in places[0] if place not in places[1]] == []
    assert len(places[0]) == len(METRICS)


def test_the_best_is_bold_and_starred_and_what_is_not_ours_is_grey() -> None:
    text = shown(width=200, styled=True)

    assert len(re.findall(r"\033\[1m *0\.\d{4} ± 0\.2500\*\033\[0m", text)) == len(METRICS)
    assert len(re.findall(r"\033\[2m *0\.4748 *\033\[0m", text)) == len(METRICS)
    assert "\033[2m  published [S]" in text
    assert "\033[1mTable 1\033[0m" in text


def test_ascii_is_enough() -> None:
    text = shown(width=100, ascii=True)

    assert text.isascii()
    assert "+- 0.2500*" in text
    assert max(map(len, text.splitlines())) <= 100
    rows = [line for line in text.splitlines() if "0." in line]
    assert rows[0].index("0.1000") == rows[1].index("0.1100")
    assert Screen(ascii=True).shown("Zoë") == r"Zo\xeb"


def test_a_terminal_is_as_wide_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "66")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert screen_of(Terminal()) == Screen(66, styled=True, ascii=True)  # a StringIO has no encoding
    assert screen_of(io.StringIO()) == Screen(None, styled=False, ascii=True)
    assert screen_of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) == PLAIN
    assert screen_of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1")).ascii


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_styles_can_be_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert screen_of(Terminal()).styled

    monkeypatch.setenv(name, value)

    assert not screen_of(Terminal()).styled


def test_meanings_are_folded_below_themselves() -> None:
    text = "methods\n  sml       what SML's authors do, in many words\n  frozen    nothing"

    assert Screen(32).wrapped(text) == (
        "methods\n  sml       what SML's authors\n            do, in many words\n  frozen    nothing"
    )
    assert PLAIN.wrapped(text) == text


def test_records_are_numbers_to_the_right_and_words_that_may_be_folded() -> None:
    rows = [{"period": 0, "name": "first", "share": 0.25}, {"period": 11, "name": "a second one", "share": None}]

    assert records(rows).splitlines() == [
        "period  name           share",
        "────────────────────────────",
        "     0  first         0.2500",
        "    11  a second one",
    ]
    assert max(map(len, records(rows, Screen(22)).splitlines())) <= 22
    assert records([]) == ""
