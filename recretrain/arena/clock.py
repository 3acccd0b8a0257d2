"""A run may be stopped when it takes too long: what it has done stays, as after any stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooLong(BaseException):
    """No mistake of the run, which leaves no error.txt: it may go on another time."""


@contextmanager
def at_most(seconds: float | None) -> Iterator[None]:
    """Raise TooLong inside when so many seconds are over; in the main thread of a system with timers."""
    if seconds is None or threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stop(_: int, __: FrameType | None) -> None:
    raise TooLong
