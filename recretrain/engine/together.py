"""A run on several devices begins a process for each further one; they end with it, and it with them.

What a process is to do comes by its standard input, which stays open as long as the first process lives: when that
ends, however it does, so do the others.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, NoReturn, TypedDict

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from recretrain.engine.peers import Peers
from recretrain.errors import Mistake
from recretrain.visible import first_line

_HERE = "127.0.0.1"
_READY = b"ready\n"
_LOOK = 0.5  # seconds between looks at whether a process has ended
_MOMENT = 2.0  # seconds from a lost connection to the end of its process
_GRACE = 20.0  # seconds for the first process to notice that by itself
_CONNECTION = re.compile(r"[Cc]onnection (closed|reset) by peer|Broken pipe")
_UNHEARD = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT")  # the first process alone answers signals


class Job(TypedDict):
    """What a further process of a run is told."""

    config: str  # resolved
    choices: Mapping[str, str]
    prepared: str  # the digest of the data
    folder: str  # of the run
    done: int  # tasks
    cuda: bool
    threads: int


class Lost(Mistake):
    """A process of a run has ended before it was done."""


@contextmanager
def together(count: int, device: torch.device, job: Job) -> Iterator[Peers | None]:
    """Begin the further processes of `count`; None where there are none.

    Raises Lost, or the Mistake of such a process, where one ends early.
    """
    if count == 1:
        yield None
        return
    store = TCPStore(_HERE, 0, count, is_master=True, wait_for_workers=False)
    others = [_Other(rank, count, store.port, job) for rank in range(1, count)]
    over = threading.Event()
    try:
        for other in others:
            other.wait_until_ready()
        threading.Thread(target=_watch, args=(others, over), daemon=True).start()
        peers = Peers(0, count, device, store)
        try:
            yield peers
        finally:
            peers.leave()
    except RuntimeError as error:  # perhaps of a lost connection
        if (ended := _early(others, seconds=_MOMENT)) is not None:
            raise ended.why() from error
        raise
    finally:
        over.set()
        for other in others:
            other.end()


class _Other:
    """A further process, as the first one sees it."""

    def __init__(self, rank: int, count: int, port: int, job: Job) -> None:
        self._rank, self._count = rank, count
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `end`
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recretrain.engine.follower"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            start_new_session=True,  # Ctrl-C is for the first process
        )
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: `wait_until_ready` says why
            self.process.stdin.write(json.dumps({**job, "rank": rank, "count": count, "port": port}).encode() + b"\n")
            self.process.stdin.flush()

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.readline() != _READY:
            self.process.wait()
            raise self.why()

    def why(self) -> Mistake:
        """Why it has ended early."""
        assert self.process.stdout is not None
        if said := self.process.stdout.read().decode(errors="replace"):
            return Mistake(said)
        code, me = self.process.returncode, f"process {self._rank + 1} of {self._count} of the run"
        if code < 0:
            by = signal.Signals(-code).name
            return Lost(f"{me} was ended by {by}; the same command goes on where it stopped")
        self._errors.seek(0)
        trace = self._errors.read().decode(errors="replace").strip()
        last = trace.splitlines()[-1] if trace else f"exit code {code}"
        lost = Lost(f"{me} failed ({last}); the same command goes on where it stopped")
        lost.add_note(trace)  # for error.txt
        return lost

    def end(self) -> None:
        """Let it end, whether it is done or not."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self._errors.close()


def _early(others: list[_Other], *, seconds: float) -> _Other | None:
    """One that has ended with an error, or does so within some seconds."""
    until = time.monotonic() + seconds
    while True:
        ended = next((other for other in others if other.process.poll() not in (None, 0)), None)
        if ended is not None or time.monotonic() >= until:
            return ended
        time.sleep(0.05)


def _watch(others: list[_Other], over: threading.Event) -> None:
    """End this process where another has ended and it waits for that one in vain, as it may on a GPU."""
    while not over.wait(_LOOK):
        if (ended := _early(others, seconds=0.0)) is not None:
            if not over.wait(_GRACE):
                print(f"recretrain: {ended.why()}", file=sys.stderr, flush=True)
                os._exit(1)
            return


def further(work: Callable[[Job, Peers], None]) -> NoReturn:
    """Be a further process: read the job, do it, and say on standard output what mistake has ended it."""
    for number in (getattr(signal, name) for name in _UNHEARD if hasattr(signal, name)):
        signal.signal(number, signal.SIG_IGN)
    job = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_first, daemon=True).start()
    os.write(1, _READY)
    try:
        peers = _joined(job)
        work(job, peers)
        peers.leave()
    except Mistake as mistake:
        os.write(1, str(mistake).encode())
        os._exit(1)
    except Exception as error:
        if _CONNECTION.search(str(error)):  # another has ended, and the first process says so
            threading.Event().wait()
        traceback.print_exc()
        print(f"{type(error).__name__}: {first_line(error)}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def _joined(job: Mapping[str, Any]) -> Peers:
    device = torch.device("cpu")
    if job["cuda"]:
        device = torch.device("cuda", job["rank"])
        torch.cuda.set_device(device)
    store = TCPStore(_HERE, job["port"], job["count"], is_master=False)
    return Peers(job["rank"], job["count"], device, store)


def _end_with_first() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)
