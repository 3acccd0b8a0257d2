"""What is finished is sealed: `files.json` has the size and the SHA-256 of each file of a folder, and comes with them
in the one rename that makes the folder. By it whoever reads a file says what has changed since.

The seal of a task also names that of the task before it, so that no task can take the place of another one. A card is a
file that is sealed by itself: a line or a key of it is the SHA-256 of the rest.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from recretrain.errors import ConfigError, DataError, Mistake
from recretrain.visible import first_line

SEAL = "files.json"
STATE = "state.pt"  # of the newest task alone, and of the one that it tells its own against
CHANGES = "changes.pt"  # in its place: the rows in which a state differs from the whole one of an earlier task
KEY = "sha256"  # of a card: of all its other keys
_LINE = re.compile(r"# of run (\w+), sha256 of what follows: (\w+)")  # the first one of a config.yaml
_FOLDER = re.compile(r"seed=-?\d+-([0-9a-f]{10})")  # of a run
_CARDS = ("run.json", "config.yaml", "error.txt")  # files of a run beside its tasks
_NEEDED = ("rows.csv", "costs.csv")  # of a task without a seal, as they were before there were any
_UNREADABLE = (ValueError, EOFError, KeyError, OSError, RuntimeError, NotImplementedError, MemoryError)


def seal(folder: Path, after: Path | None = None, base: Path | None = None) -> None:
    """Write the seal of a folder that holds all of its files.

    `after`: the folder of the task before it, its sister; `base`: that of the task whose state it tells changes of.
    """
    files = {path.name: _entry(path) for path in sorted(folder.iterdir()) if path.is_file() and path.name != SEAL}
    if after is not None and (after / SEAL).is_file():
        files[f"../{after.name}/{SEAL}"] = _entry(after / SEAL)
    if base is not None:
        files[f"../{base.name}/{STATE}"] = (_sealed(base) or {})[STATE]
    _write(folder, files)


def base_of(task: Path) -> Path | None:
    """The folder of the task with the whole state by which that of `task` is told: its own, or an earlier one.

    None where the seal tells of none.
    """
    files = _sealed(task) or {}
    if STATE in files:
        return task
    return next((task.parent / name.split("/")[1] for name in files if _is_base(name)), None)


def bytes_of(task: Path, name: str) -> int:
    """The size that a file was written with; 0 where the seal tells of none."""
    return int((_sealed(task) or {}).get(name, {"bytes": 0})["bytes"])


def add(file: Path, written: Path) -> None:
    """Tell a folder's seal of a file that is to come there, and is `written` aside."""
    _write(file.parent, {**(_sealed(file.parent) or {}), file.name: _entry(written)})


def finished(tasks: Path) -> list[Path]:
    """The folders of finished tasks, 0, 1, ... without a gap: those that hold all they were finished with."""
    found: list[Path] = []
    while _is_whole(folder := tasks / str(len(found))):
        found.append(folder)
    return found


def litter(run: Path) -> list[Path]:
    """List what a killed process left in a run folder: half-written tasks and cards, and states of older tasks."""
    half = [*(run / "tasks").glob(".*"), *(run / f".{name}" for name in _CARDS)]
    tasks = finished(run / "tasks")
    needed = base_of(tasks[-1]) if tasks else None
    old = [folder / name for folder in tasks[:-1] for name in (STATE, CHANGES) if (folder, name) != (needed, STATE)]
    return [path for path in (*half, *old) if path.exists()]


def damage_of(tasks: Sequence[Path]) -> list[str]:
    """List what is wrong with finished tasks, one line a task; states are looked at for the last task alone."""
    found = [damage(task, state=task == tasks[-1]) for task in tasks]
    return [what for what in found if what is not None]


def damage(folder: Path, names: Sequence[str] | None = None, *, state: bool = True) -> str | None:
    """Say which of these files of a sealed folder, by default of all, is not as it was written; None if none.

    A folder without a seal tells nothing.
    """
    files = _sealed(folder)
    if files is None:
        return None if not (folder / SEAL).exists() else f"{folder / SEAL} is damaged (it is no list of files)"
    for name in files if names is None else [name for name in files if name in names or name.startswith("../")]:
        path = folder.parent / name[3:] if name.startswith("../") else folder / name
        if name in (STATE, CHANGES) and not (state and path.exists()):
            continue
        if _is_base(name) and (names is not None or not state):  # those of older tasks have been needed once
            continue
        if not path.exists():
            return f"{path} is gone"
        if what := _changed(path, files[name]):
            return f"{path} is damaged ({what})"
    return _misplaced(folder)


def is_as_sealed(path: Path, written: Path | None = None) -> bool:
    """Whether a file, or what is `written` to take its place, is what its folder's seal tells of."""
    entry, written = (_sealed(path.parent) or {}).get(path.name), written or path
    return entry is not None and written.is_file() and _changed(written, entry) is None


def whole(path: Path) -> str | None:
    """Say what is wrong with a file by its folder's seal; looked at once in a process, until the file changes."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"{path} is gone"
    return _looked_at(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@contextmanager
def reading(path: Path) -> Iterator[Path]:
    """The door to a prepared file. Raises DataError where it is not as written, or cannot be read in the block."""
    again = f"; delete {path.parent}, it is made again"
    if what := whole(path):
        raise DataError(f"{what}{again}")
    try:
        yield path
    except (Mistake, PermissionError):
        raise
    except _UNREADABLE as error:
        raise DataError(f"{path} is damaged ({first_line(error)}){again}") from error


def sealed_text(text: str, run: str) -> str:
    """The text of a run of this digest behind a line that seals both."""
    return f"# of run {run}, sha256 of what follows: {_of(run + text)}\n{text}"


def unsealed(text: str) -> str:
    """The text of a sealed one, without the line that seals it."""
    return text.partition("\n")[2]


def text_damage(text: str, run: str | None = None) -> str | None:
    """Say whether a text is another one than its first line seals, or another run's; without such a line: None."""
    if not text.strip():
        return "it is empty"
    head, _, rest = text.partition("\n")
    line = _LINE.fullmatch(head)
    if line is None:
        return "its first line has changed since it was written" if "sha256 of what" in head else None
    if line[2] != _of(line[1] + rest):
        return "it has changed since it was written"
    return f"it is of run {line[1]}" if run not in (None, line[1]) else None


def is_elsewhere(folder: Path, card: Mapping[str, Any]) -> bool:
    """Whether a run's folder is named by the digest of another run than its card is of."""
    named = _FOLDER.fullmatch(folder.name)
    return named is not None and named[1] != card.get("digest")


def sealed_card(content: Mapping[str, Any]) -> dict[str, Any]:
    """A card with the key that seals it."""
    return {**content, KEY: _of(_canonical(content))}


def read_card(path: Path) -> dict[str, Any]:
    """The content of a card. Raises ConfigError where it is not as it was written."""
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError("it is no object")
        if (by := content.pop(KEY, None)) is not None and by != _of(_canonical(content)):
            raise ValueError("it has changed since it was written")
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is damaged ({first_line(error)}); delete {path.parent} and run again") from error
    return content


def _is_base(name: str) -> bool:
    """Whether an entry of a seal is the whole state of an earlier task."""
    return name.startswith("../") and name.endswith(f"/{STATE}")


def _is_whole(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    files = _sealed(folder)
    own = [name for name in files or () if name not in (STATE, CHANGES) and not name.startswith("../")]
    needed = _NEEDED if files is None else own
    return all((folder / name).is_file() for name in needed)


def _misplaced(folder: Path) -> str | None:
    """Say whether a task's folder holds another task."""
    costs = folder / "costs.csv"
    if not folder.name.isdigit() or not costs.is_file():
        return None
    try:
        with costs.open(newline="", errors="replace") as file:
            told = [row.get("task") for row in csv.DictReader(file)]
    except csv.Error as error:
        return f"{costs} is damaged ({first_line(error)})"
    return None if told in ([folder.name], []) else f"{folder} is damaged (it holds task {', '.join(map(str, told))})"


@lru_cache(4096)
def _looked_at(path: Path, *_: int) -> str | None:
    return damage(path.parent, [path.name])


def _sealed(folder: Path) -> dict[str, dict[str, Any]] | None:
    """The content of a seal; None where there is none that can be read."""
    try:
        files = json.loads((folder / SEAL).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(files, dict) and all(
        isinstance(entry, dict) and {"bytes", "sha256"} <= entry.keys() for entry in files.values()
    )
    return files if whole else None


def _write(folder: Path, files: Mapping[str, Any]) -> None:
    aside = folder / f".{SEAL}"
    aside.write_text(json.dumps(files, indent=1) + "\n")
    os.replace(aside, folder / SEAL)


def _entry(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": _digest(path)}


def _changed(path: Path, entry: Mapping[str, Any]) -> str | None:
    if path.stat().st_size != entry["bytes"]:
        return f"it has {path.stat().st_size} bytes and was written with {entry['bytes']}"
    return "its bytes have changed since it was written" if _digest(path) != entry["sha256"] else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _canonical(content: Mapping[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)


def _of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
