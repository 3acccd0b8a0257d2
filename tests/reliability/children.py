"""Commands in children of a warm process, which are killed where a test says."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
ALTERS = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "shutil.rmtree")
HEAVY = ["recretrain.commands.cli", "recretrain.commands.run", "recretrain.engine.runner", "recretrain.report", "hydra"]

Command = Sequence[str] | Callable[[Path], int]  # words of the command line, or a function of the place

_context: ForkServerContext | None = None


def start(place: Path, command: Command, *, until: int | None = None, in_a_fit: int | None = None) -> ForkServerProcess:
    """Begin a command; its output goes to `<place>.log`.

    It is killed before its `until`th alteration of a file, or gets the signal `in_a_fit` with its third batch.
    """
    global _context
    if _context is None:
        _context = multiprocessing.get_context("forkserver")
        _context.set_forkserver_preload(HEAVY)
    child = _context.Process(target=_work, args=(str(place), command, until, in_a_fit))
    child.start()
    return child


def end(child: ForkServerProcess) -> int:
    """Wait for it; its exit code, negative for a signal."""
    child.join(600)
    assert child.exitcode is not None, "hangs"
    return child.exitcode


def do(place: Path, command: Command, *, until: int | None = None, in_a_fit: int | None = None) -> int:
    return end(start(place, command, until=until, in_a_fit=in_a_fit))


def killed_after(place: Path, command: Command, seconds: float) -> int:
    child = start(place, command)
    child.join(seconds)
    if child.exitcode is None:
        child.kill()
    return end(child)


def alterations(place: Path) -> int:
    """How many there were in the last command that was told `until` and ended by itself."""
    return int(Path(f"{place}.count").read_text())


def said(place: Path) -> str:
    return Path(f"{place}.log").read_text()


def _work(place: str, command: Command, until: int | None, in_a_fit: int | None) -> None:
    log = os.open(f"{place}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    from recretrain.commands.cli import main

    if in_a_fit is not None:
        _signal_in_a_fit(in_a_fit)
    counted = _counting(place, until) if until is not None else None
    code = command(Path(place)) if callable(command) else main(command)
    if counted is not None:
        Path(f"{place}.count").write_text(str(counted[0]))
    sys.stdout.flush()
    os._exit(code)


def _signal_in_a_fit(number: int) -> None:
    from pytorch_lightning.strategies import Strategy

    real, steps = Strategy.training_step, [0]

    def step(*arguments: Any, **named: Any) -> Any:
        steps[0] += 1
        if steps[0] == 3:
            os.kill(os.getpid(), number)
        return real(*arguments, **named)

    Strategy.training_step = step  # type: ignore[method-assign]


def _counting(place: str, until: int) -> list[int]:
    """Count alterations below `place`; the process dies before the `until`th (0: never)."""
    seen = [0]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, how = arguments
            if not isinstance(how, int) or not how & WRITES:
                return
        elif event in ALTERS:
            path = arguments[0]
        else:
            return
        if isinstance(path, str | os.PathLike) and str(path).startswith(f"{place}/"):
            seen[0] += 1
            if seen[0] == until:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)

    sys.addaudithook(hook)
    return seen
