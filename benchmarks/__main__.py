"""`make bench`: figures of speed and memory in one run, those of version 0.1 beside them.

`python -m benchmarks PART ...` measures parts of it alone.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks import (
    before,
    catn,
    episodes,
    history,
    memory,
    peers,
    peterrec,
    scale,
    sessions,
    speed,
    start,
    threads,
)
from benchmarks.measure import Line, table

PARTS: dict[str, Callable[[Path], Iterator[Line]]] = {
    "speed": lambda _: speed.lines(),
    "sessions": lambda _: sessions.lines(),
    "episodes": lambda _: episodes.lines(),
    "peterrec": lambda _: peterrec.lines(),
    "catn": lambda _: catn.lines(),
    "start": lambda folder: start.lines(folder / "start"),
    "threads": lambda _: threads.lines(),
    "history": lambda folder: history.lines(folder / "history"),
    "memory": memory.lines,
}
APART: dict[str, Callable[[], None]] = {  # with tables of their own
    "scale": lambda: scale.main([1, 3]),
    "peers": peers.main,
}


def main(parts: Sequence[str]) -> None:
    unknown = [part for part in parts if part not in PARTS | APART]
    if unknown:
        sys.exit(f"there is no part {unknown[0]}; choose from {', '.join([*PARTS, *APART])}")
    torch.set_num_threads(1)
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        lines = list(tqdm(_lines(parts, Path(folder)), desc="measuring", unit="figure"))
    if lines:
        print("\nCPU seconds of one thread, medians, taken in turns; figure = compared / ours, or the figure itself\n")
        print(table(lines, before.FIGURES))
    for part in parts:
        if part in APART:
            print(f"\n{part}\n")
            APART[part]()


def _lines(parts: Sequence[str], folder: Path) -> Iterator[Line]:
    for part in parts:
        if part in PARTS:
            yield from PARTS[part](folder)


if __name__ == "__main__":
    main(sys.argv[1:] or [*PARTS, *APART])
