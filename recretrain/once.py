"""What is made once is made by one process at a time and aside, so that it is there if and only if it is whole."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from recretrain import sealed


@contextmanager
def only_one(place: Path) -> Iterator[None]:
    """Let one process at a time work on a file or folder; others wait. The lock's file goes with the lock."""
    place.parent.mkdir(parents=True, exist_ok=True)
    file = _lock_of(place)
    with FileLock(file):
        try:
            yield
        finally:
            with suppress(OSError):  # while it is held: who waits for it looks whether it is still there
                file.unlink()


def forget_lock(place: Path) -> None:
    """Remove the lock's file that a process left which was killed when `place` was whole; not one that is held."""
    file = _lock_of(place)
    if file.exists():
        with suppress(OSError, Timeout), FileLock(file, timeout=0):
            file.unlink()


def _lock_of(place: Path) -> Path:
    return place.parent / f".{place.name}.lock"


@contextmanager
def aside_of(folder: Path) -> Iterator[Path]:
    """A folder to write in that becomes `folder` if all goes well and is removed if not. Needs `only_one(folder)`."""
    remove_stale(folder)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def remove_stale(place: Path) -> None:
    """Remove what a process that was killed had written aside of `place`. Needs `only_one(place)`."""
    for stale in place.parent.glob(f".{place.name}.*"):
        if stale.is_dir():
            shutil.rmtree(stale)
        elif stale.suffix != ".lock":
            stale.unlink()


def made(file: Path, make: Callable[[BinaryIO], None]) -> Path:
    """A file that is made where it is not there, or not as it was written; its folder's seal tells of it.

    The seal comes first: a file that is there without one is older than seals.
    """
    if not _is_whole(file):
        with only_one(file.parent):
            if not _is_whole(file):
                file.parent.mkdir(exist_ok=True)
                aside = file.with_name(f".{file.name}.aside")  # of a process that was killed: written over
                with aside.open("wb") as out:
                    make(out)
                sealed.add(file, aside)
                os.replace(aside, file)
    forget_lock(file.parent)
    return file


def _is_whole(file: Path) -> bool:
    return file.is_file() and sealed.damage(file.parent, [file.name]) is None
