"""docs/gpu.md says of everything that the walk finds whether it has been seen on a GPU. Needs none."""

from __future__ import annotations

import re
from pathlib import Path

from tests.gpu import walk

PAGE = Path(__file__).parents[2] / "docs" / "gpu.md"


def named(heading: str) -> list[str]:
    """What a row of the page's table names."""
    (row,) = re.findall(rf"^\| {heading} \|(.*)\|$", PAGE.read_text(), re.MULTILINE)
    return re.findall(r"`([^`]+)`", row)


def test_the_page_names_all_that_the_walk_finds_once() -> None:
    there = [*walk.methods(), *walk.trainers()]

    assert sorted(named("seen") + named("not yet")) == sorted(there)
    assert {"sml", "catn", "transfer=gated", "trainer.matmul"} <= set(there)
