"""A finished task is sealed: `files.json` has the size and the SHA-256 of each of its files, and comes with them in the
one rename that makes the task finished. By it whoever reads a task says what has changed since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SEAL = "files.json"
STATE = "state.pt"  # of the newest task alone
_NEEDED = ("rows.csv", "costs.csv")  # of a task without a seal, as they were before there were any


def seal(folder: Path) -> None:
    """Write the seal of a folder that holds all of a task's files."""
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in sorted(folder.iterdir())}
    (folder / SEAL).write_text(json.dumps(files, indent=1) + "\n")


def finished(tasks: Path) -> list[Path]:
    """The folders of finished tasks, 0, 1, ... without a gap: those that hold all they were finished with."""
    found: list[Path] = []
    while _is_whole(folder := tasks / str(len(found))):
        found.append(folder)
    return found


def damage(folder: Path, names: Sequence[str] | None = None) -> str | None:
    """Say which of these files of a finished task, by default of all, is not as it was written; None if none.

    A task without a seal tells nothing.
    """
    files = _sealed(folder)
    if files is None:
        return None if not (folder / SEAL).exists() else f"{folder / SEAL} is damaged (it is no list of files)"
    for name in files if names is None else [name for name in names if name in files]:
        path = folder / name
        if not path.exists():
            if name != STATE:
                return f"{path} is gone"
        elif path.stat().st_size != files[name]["bytes"]:
            return f"{path} is damaged (it has {path.stat().st_size} bytes and was written with {files[name]['bytes']})"
        elif _digest(path) != files[name]["sha256"]:
            return f"{path} is damaged (its bytes have changed since it was written)"
    return None


def _is_whole(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    files = _sealed(folder)
    needed = _NEEDED if files is None else [name for name in files if name != STATE]
    return all((folder / name).is_file() for name in needed)


def _sealed(folder: Path) -> dict[str, dict[str, Any]] | None:
    """The content of a seal; None where there is none that can be read."""
    try:
        files = json.loads((folder / SEAL).read_text())
    except (OSError, ValueError):
        return None
    whole = isinstance(files, dict) and all(
        isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys() for entry in files.values()
    )
    return files if whole else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
