"""Two threads of torch beside other busy processes: waiting asleep, as the command line asks for, against spinning."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import Line

WORK = """
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
    cores = len(os.sched_getaffinity(0))
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        asleep, spinning = _cpu_seconds("PASSIVE"), _cpu_seconds("ACTIVE")
    finally:
        for other in others:
            other.kill()
            other.wait()
    what = "100 steps of two threads beside a busy process a core, asleep against spinning"
    yield Line(what, f"{asleep:.1f} s", f"{spinning:.1f} s", spinning / asleep, 1.5)


def _cpu_seconds(policy: str) -> float:
    """CPU seconds of the work, imports and all."""
    found = subprocess.run(
        [sys.executable, "-c", WORK],
        env={**os.environ, "OMP_WAIT_POLICY": policy, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(found.stdout)
