"""A prepared folder exists if and only if it is complete, and one process at a time makes it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Let one process at a time work on `folder`; others wait."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        yield


@contextmanager
def aside_of(folder: Path) -> Iterator[Path]:
    """A folder to write in that becomes `folder` if all goes well and is removed if not. Needs `only_one(folder)`."""
    for stale in folder.parent.glob(f".{folder.name}.*/"):  # of a process that was killed
        shutil.rmtree(stale)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
