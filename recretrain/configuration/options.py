"""The options of a group are the files of its folder in conf/; their headlines are read as text, which is fast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

GROUPS = {  # what `recretrain list` calls it: its folder in conf/
    "methods": "method",
    "learners": "learner",
    "backbones": "backbone",
    "data": "data",
    "cuts": "cut",
    "schedules": "schedule",
    "questions": "eval",
    "tables": "table",
    "experiments": "experiment",
}


def options(conf: Path, group: str) -> dict[str, str]:
    """The options of a group, each with the comment at the head of its file."""
    return {file.stem: headline(file) for file in sorted((conf / group).glob("*.yaml"))}


def headline(file: Path) -> str:
    """The first comment of a file that is not a directive."""
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            return ""
        if "@package" not in line:
            return line.lstrip("# ").rstrip()
    return ""


def listed(conf: Path, kinds: Sequence[str]) -> str:
    """The options of the named kinds, one a line."""
    return "\n\n".join(_titled(kind, options(conf, GROUPS[kind])) for kind in kinds)


def columns(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns, indented; a longer text on the left moves only its own right side."""
    width = min(max((len(left) for left, _ in rows), default=0), 44)
    return "\n".join(f"  {left:<{width}}  {right}".rstrip() for left, right in rows)


def _titled(kind: str, found: Mapping[str, str]) -> str:
    return f"{kind}\n{columns(list(found.items()) or [('(none)', '')])}"
