"""`make bench`: every figure of benchmarks/README.md, measured in one run."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks import catn, episodes, memory, peterrec, sessions, speed, threads
from benchmarks.history import History
from benchmarks.measure import Line, table


def main() -> None:
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history")
        lines = list(tqdm(_all(history, Path(folder)), desc="measuring", unit="figure"))
    print(f"\nCPU seconds of one thread, medians, taken in turns; figure = compared / ours\n\n{table(lines)}")
    print(f"\nWhat a period costs along a stream of 40\n\n{history.table()}")


def _all(history: History, folder: Path) -> Iterator[Line]:
    yield from speed.lines()
    yield from sessions.lines()
    yield from episodes.lines()
    yield from peterrec.lines()
    yield from catn.lines()
    yield from threads.lines()
    yield from history.lines()
    yield from memory.lines(folder)


if __name__ == "__main__":
    main()
