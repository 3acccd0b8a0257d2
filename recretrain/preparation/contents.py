"""A raw file is known by what is in it: copied to another machine it is the same data, and an edited one is not."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path


def content_of(file: Path, remembered: Path) -> str:
    """SHA-256 of `file`; kept in the folder `remembered` while nothing says that the file may be another one.

    An edit may keep the size and the time of change (`cp -p`, `rsync -t`), but never the time of the inode's change
    and the inode too. The note's own seal says of which file, as it was, the content is; a damaged note is made again.
    """
    note = remembered / hashlib.sha256(str(file.absolute()).encode()).hexdigest()
    found = file.stat()
    state = f"{file.absolute()} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {found.st_ino}"
    content = _noted(note, state)
    if content is None:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        with suppress(PermissionError):  # somebody else's cache may hold the prepared data all the same
            _remember(note, f"{content} {_seal(content, state)}\n")
    return content


def _remember(note: Path, text: str) -> None:
    note.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=note.parent, delete=False) as aside:  # two may ask at once
        aside.write(text)
    os.replace(aside.name, note)


def _noted(note: Path, state: str) -> str | None:
    """The content that a note tells of a file in this state; None where it tells none."""
    if not note.is_file():
        return None
    content, _, seal = note.read_text(errors="replace").strip().partition(" ")
    return content if seal == _seal(content, state) else None


def _seal(content: str, state: str) -> str:
    return hashlib.sha256(f"{state} {content}".encode()).hexdigest()
