"""Paths of a user's own tables: a file, a folder, a pattern, or a folder whose subfolders are named `column=value`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

WILD = re.compile(r"[*?\[]")
PACKED = ("", ".gz", ".zst")
SUFFIXES = (*(f".{kind}{packed}" for kind in ("csv", "tsv", "jsonl", "ndjson") for packed in PACKED), ".parquet")


def place_of(root: Path, path: str) -> Path:
    """Where a path leads: in the working folder if something is there, else below the data root."""
    given = Path(path).expanduser()
    return given if files_at(given) else root / given


def files_at(place: Path) -> list[Path]:
    """The tables at a place, in order of their paths; none if there are none."""
    if place.is_file():
        return [place]
    if place.is_dir():
        return sorted(file for file in _below(place) if file.name.endswith(SUFFIXES))
    base, pattern = _split(place)
    found = sorted(file for file in base.glob(pattern) if file.is_file()) if pattern else []
    return [file for file in found if file.name.endswith(SUFFIXES)] or found


def partitions_of(file: Path, path: str) -> tuple[str, ...]:
    """The folders `column=value` right above a file, but for those that the user's path names itself."""
    named = _split(Path(path).expanduser())[0].parts
    found: list[str] = []
    for folder in file.parents:
        if "=" not in folder.name or folder.name in named:
            break
        found.insert(0, folder.name)
    return tuple(found)


def columns_of(partitions: Sequence[str]) -> list[str]:
    """The names of the columns that these folders are values of."""
    return [name.partition("=")[0] for name in partitions]


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder and of its partitions."""
    for entry in folder.iterdir():
        if entry.is_file():
            yield entry
        elif "=" in entry.name and entry.is_dir():
            yield from _below(entry)


def _split(place: Path) -> tuple[Path, str]:
    """The folder above the first wildcard, and the pattern from there on; no pattern where there is no wildcard."""
    for index, part in enumerate(place.parts):
        if WILD.search(part) and not place.exists():
            pattern = "/".join(place.parts[index:])
            return Path(*place.parts[:index]), f"{pattern}/*" if place.parts[-1] == "**" else pattern
    return place, ""
