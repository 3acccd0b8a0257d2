"""`recretrain arena`: from data to a verdict and a page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from recretrain.arena import page
from recretrain.arena.arena import Arena, Outcome
from recretrain.arena.wish import wish_of
from recretrain.commands.run import one

QUIET = "trainer.progress=false"


def arena(words: Sequence[str], out: Path | None) -> str:
    """Hold the arena that the words ask for, write its page, and tell the verdict."""
    logging.getLogger("recretrain").setLevel(logging.WARNING)
    logging.getLogger("recretrain.arena").setLevel(logging.INFO)
    made = Arena(wish_of(words), lambda overrides: one([*overrides, QUIET]))
    outcome = made.held()
    file = out or made.folder / "page.html"
    page.write(outcome, file)
    return "\n".join([_table(outcome), "", *outcome.verdict, "", f"The page: {file}"])


def _table(outcome: Outcome) -> str:
    rows = [
        [one.method, one.figure.mean, "" if one.to_best is None else f"{one.to_best.mean:+.4f}",
         "" if one.adjusted is None else f"{one.adjusted:.4f}", f"{one.seconds:.2f}"]
        for one in outcome.standings
    ]  # fmt: skip
    return tabulate(
        rows, ["method", outcome.column, "to the best", "p (Holm)", "CPU s a period"], "simple", floatfmt=".4f"
    )
