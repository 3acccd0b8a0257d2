"""A sweep's folder and its workers go with the process that began it, however that ends."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_OWNER = "RECRETRAIN_SWEEP"  # the process that began the sweep, told to its workers
_LOCK = "sweep.lock"
_LOOK = 0.5  # seconds between looks at whether it is still there
_GRACE = 5.0  # seconds to end by a signal
_held: list[FileLock] = []  # by this process, until it ends


def begin(folder: Path) -> None:
    """Make the folder of a sweep, and remove those of sweeps whose process was killed."""
    for stale in folder.parent.glob(".sweep-*"):
        if not _is_held(stale):
            shutil.rmtree(stale, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    lock.acquire()
    _held.append(lock)
    os.environ[_OWNER] = str(os.getpid())
    atexit.register(remove, folder)  # also after Ctrl-C


def remove(folder: Path) -> None:
    """Remove the folder of a sweep, and outputs where there is nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def end_with_owner() -> None:
    """End this process soon after the one that began the sweep, if that is its parent; does nothing elsewhere."""
    owner = os.environ.get(_OWNER)
    if owner is not None and int(owner) == os.getppid() and not any(t.name == _OWNER for t in threading.enumerate()):
        threading.Thread(target=_watch, args=(int(owner),), name=_OWNER, daemon=True).start()


def _watch(owner: int) -> None:
    while os.getppid() == owner:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(128 + signal.SIGTERM)  # as after a kill: the same command goes on


def _is_held(folder: Path) -> bool:
    """Whether the process of a sweep is still there: its lock goes with it."""
    try:
        with FileLock(folder / _LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # gone meanwhile
        return False
