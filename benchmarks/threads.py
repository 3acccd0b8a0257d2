"""Threads of torch beside other busy processes, a busy one on each core: they may help, and must never hurt.

`python -m benchmarks.threads METHOD` is the process that measures a method; it prints the seconds of the clock that its
work takes with the threads that a run is given, and with one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.measure import Line, Work

ROUNDS = 7
STEPS = """
import resource, torch
torch.set_num_threads(2)
target, table = torch.randn(256, 64), torch.nn.Parameter(torch.randn(5000, 64))
adam = torch.optim.Adam([table], lr=1e-3)
for _ in range(100):
    loss = ((table[torch.randint(5000, (256,))] - target) ** 2).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime)
"""


def lines() -> Iterator[Line]:
    with _busy_neighbours():
        (asleep,), (spinning,) = (_printed(["-c", STEPS], policy, "2") for policy in ("PASSIVE", "ACTIVE"))
        what = "100 steps of two threads beside a busy process a core, asleep against spinning"
        yield Line(what, f"{asleep:.1f} s", f"{spinning:.1f} s", spinning / asleep, 1.5)
        for name in WORKS:
            yield _beside_one(name)


def _beside_one(name: str) -> Line:
    threads, default, one = _printed(["-m", "benchmarks.threads", name], "PASSIVE", None)
    what = f"{name}, {threads:.0f} threads as by default, against one, beside a busy process a core: the clock"
    return Line(what, f"{default:.2f} s", f"{one:.2f} s", default / one, 1.3, at_least=False)


@contextmanager
def _busy_neighbours() -> Iterator[None]:
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def _printed(command: list[str], policy: str, threads: str | None) -> list[float]:
    """The numbers that a process prints."""
    env = {**os.environ, "OMP_WAIT_POLICY": policy} | ({} if threads is None else {"OMP_NUM_THREADS": threads})
    found = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=True)
    return [float(number) for number in found.stdout.split()]


def _mf() -> Work:
    from benchmarks import speed

    ours = speed.Training(speed.YELP)
    return lambda: ours.fit(1)


def _ader() -> Work:
    from benchmarks import sessions
    from benchmarks.measure import repeated

    ours = sessions.Training()
    return lambda: repeated(ours.step, 4)


def _melu() -> Work:
    from benchmarks import episodes

    return episodes.epoch(1, 640)


def _sml() -> Work:
    """Ten lessons of the transfer on triples of rows, and a blend of 20,000 rows."""
    import torch

    from recretrain.backbones.optimizers import DenseAdam
    from recretrain.methods.parts.transfer import Convolutions

    net = Convolutions(embedding_size=64, filters=[10, 5], hidden=512, product=True, detach_product=True, epsilon=1e-15)
    previous, fresh, served = (torch.randn(20_000, 64) for _ in range(3))
    adam = DenseAdam(list(net.parameters()), learning_rate=1e-3)

    def work() -> None:
        for _ in range(10):
            adam.zero_grad()
            net(previous[:768], fresh[:768]).square().mean().backward()
            adam.step()
        net.blend_into(served, previous, fresh)

    return work


WORKS: dict[str, Callable[[], Work]] = {"mf": _mf, "ader": _ader, "melu": _melu, "sml": _sml}


def main(name: str) -> None:
    import torch

    from recretrain.engine.machine import cores
    from recretrain.methods.melu import MeLU

    threads = min(cores(), MeLU.threads) if name == "melu" else cores()
    work = WORKS[name]()
    work()
    clock: dict[int, list[float]] = {threads: [], 1: []}
    for _ in range(ROUNDS):  # in turns
        for count, seconds in clock.items():
            torch.set_num_threads(count)
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
    print(threads, *(median(seconds) for seconds in (clock[threads], clock[1])))


if __name__ == "__main__":
    main(sys.argv[1])
