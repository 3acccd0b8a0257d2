"""A meter counts the cost of an update: seconds, memory, and the rows of the stream it looked at."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from pathlib import Path

import torch


class Meter:
    """Start one per task; `on_read` is handed to everything that reads rows for the update."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.read: dict[str, int] = {}  # rows by what they are of; looked at twice counts once
        _forget_peak(device)
        self.wall_seconds = self.cpu_seconds = 0.0
        self.begin()

    def begin(self) -> None:
        """The update begins now."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def on_read(self, what: str, rows: int) -> None:
        self.read[what] = rows

    def elapsed(self) -> tuple[float, float]:
        """Wall and CPU seconds since the start."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - self._wall, time.process_time() - self._cpu

    def add(self, wall: float, cpu: float, read: Mapping[str, int]) -> None:
        """Count work that another run has done for this one, as if it had been done here."""
        self._wall, self._cpu = self._wall - wall, self._cpu - cpu
        self.read.update(read)

    def stop(self) -> None:
        """The update is over; evaluation follows."""
        self.wall_seconds, self.cpu_seconds = self.elapsed()

    @property
    def rows_read(self) -> int:
        return sum(self.read.values())

    def peak_memory_mb(self) -> float:
        """On CUDA the peak of torch's allocations; else the process's resident memory (off Linux: since its start)."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device) / 2**20
        status = Path("/proc/self/status")
        if status.exists():
            line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
            return int(line.split()[1]) / 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _forget_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # not Linux, or not allowed: the peak is the process's own
