"""A signal that ends a run ends it at once, inside a fit too, and never looks like success or failure."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_DEFAULT = (signal.SIG_DFL, signal.default_int_handler)
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")  # those of them that the platform has; the last: Slurm's warning


class Interruption(BaseException):
    """No KeyboardInterrupt, which Lightning turns into an exit with code 1."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(str(self))

    @property
    def code(self) -> int:
        """The exit code that shells give to a program which a signal has ended."""
        return 128 + self.number

    def __str__(self) -> str:
        by = "interrupted" if self.number == signal.SIGINT else f"stopped by {signal.Signals(self.number).name}"
        return f"{by}; the same command goes on where it stopped"


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise Interruption on the signals that end a program; where somebody handles one already, theirs is kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: handler for number in numbers if (handler := signal.getsignal(number)) in _DEFAULT}
    for number in before:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def python_s_own() -> Iterator[None]:
    """Let a caller in Python see Ctrl-C as the KeyboardInterrupt that it knows."""
    try:
        yield
    except Interruption as stop:
        if stop.number == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise


def _interrupt(number: int, _: FrameType | None) -> None:
    raise Interruption(number)
