"""CPU seconds of whole commands that have nothing left to do: what a command costs before its work begins."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.measure import Line

ROUNDS = 5


def lines(folder: Path) -> Iterator[Line]:
    paths = [f"paths.outputs={folder / 'outputs'}", f"paths.cache={folder / 'cache'}", f"paths.data={folder}"]
    demo = ["experiment=demo", "data=yelp", *paths]
    commands = {
        "a finished run, repeated": ["run", "method=popularity", *demo],
        "prepared data, prepared again": ["data", "prepare", *demo],
        "the report of a finished run": ["report", str(folder / "outputs")],
    }
    for what, words in commands.items():
        _cpu_seconds(words)  # does the work
        seconds = median(_cpu_seconds(words) for _ in range(ROUNDS))
        yield Line(f"{what}: CPU seconds", f"{seconds:.2f} s", "", seconds, 1, at_least=False)


def _cpu_seconds(words: list[str]) -> float:
    """User and system time of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "recretrain", *words], env=os.environ, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
