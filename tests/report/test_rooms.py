"""The rooms of the report stand on three floors, and imports go down only."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPORT = Path(__file__).parents[2] / "recretrain" / "report"
BELOW = {"runs": set(), "papers": {"runs"}, "pages": {"runs", "papers", "plots"}, "plots": {"runs", "papers"}}


def rooms_seen_by(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name.split(".")[2] for name in names if name.startswith("recretrain.report."))


def test_every_file_stands_in_a_room() -> None:
    assert {path.parent.name for path in REPORT.rglob("*.py") if path.parent != REPORT} == BELOW.keys()
    assert [path.name for path in REPORT.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("room", BELOW)
def test_a_room_sees_itself_and_those_below(room: str) -> None:
    seen = {name for file in (REPORT / room).glob("*.py") for name in rooms_seen_by(file)}

    assert seen - {room} <= BELOW[room]
    assert seen
