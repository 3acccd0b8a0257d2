"""`recretrain arena`: from data to a verdict and a page."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from recretrain.arena import page
from recretrain.arena.arena import Arena, Outcome
from recretrain.arena.wish import wish_of
from recretrain.commands.run import one
from recretrain.report.pages.grids import Cell, Grid, Line
from recretrain.report.pages.screen import screen_of
from recretrain.report.pages.terminal import columns_of, table
from recretrain.visible import visible

QUIET = "trainer.progress=false"


def arena(words: Sequence[str], out: Path | None) -> str:
    """Hold the arena that the words ask for, write its page, and tell the verdict."""
    logging.getLogger("recretrain").setLevel(logging.WARNING)
    logging.getLogger("recretrain.arena").setLevel(logging.INFO)
    made = Arena(wish_of(words), lambda overrides: one([*overrides, QUIET]))
    outcome = made.held()
    file = out or made.folder / "page.html"
    page.write(outcome, file)
    screen = screen_of(sys.stdout)
    said = "\n".join(screen.wrapped(visible(sentence)) for sentence in outcome.verdict)
    place = f"The page: {visible(str(file))}"
    return "\n\n".join([table(columns_of(_standings(outcome), screen), screen), said, place])


def _standings(outcome: Outcome) -> Grid:
    lines = [
        Line(one.method, [
            Cell(one.figure.mean, bold=place == 0),
            Cell(None if one.to_best is None else one.to_best.mean, "{:+.4f}"),
            Cell(one.adjusted),
            Cell(one.seconds, "{:.2f}"),
        ])
        for place, one in enumerate(outcome.standings)
    ]  # fmt: skip
    return Grid("", "method", [outcome.column, "to the best", "p (Holm)", "CPU s a period"], lines)
