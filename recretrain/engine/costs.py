"""A meter counts what an update takes: seconds, memory, and the rows of the stream it looked at."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import torch


class Meter:
    """Start one per task; `on_read` is handed to everything that reads rows for the update."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._read: dict[str, int] = {}
        _forget_peak(device)
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.wall_seconds = self.cpu_seconds = 0.0

    def on_read(self, what: str, rows: int) -> None:
        self._read[what] = rows  # looked at twice counts once

    def stop(self) -> None:
        """The update is over; what follows is evaluation."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.wall_seconds = time.perf_counter() - self._wall
        self.cpu_seconds = time.process_time() - self._cpu

    @property
    def rows_read(self) -> int:
        return sum(self._read.values())

    def peak_memory_mb(self) -> float:
        """On CUDA what torch allocated there; else the process's resident memory (off Linux: since its start)."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
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
