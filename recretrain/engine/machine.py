"""The machine of a run: its device, threads and number format (conf/trainer)."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import torch

from recretrain.errors import ConfigError
from recretrain.values import Within

_MANY = 64  # threads that a run may ask for wherever it is begun


class Machine:
    """`precision` and more than one of `devices` change results, and are part of a run's digest."""

    def __init__(
        self,
        *,
        device: Literal["auto", "cpu", "cuda"],
        devices: Annotated[int, Within(1, 64)],
        precision: Literal["32-true", "bf16-mixed"],
        threads: Annotated[int, Within(0, 1024)],
        progress: bool,
    ) -> None:
        """`devices`: processes that learn together, each with a GPU or threads of its own.

        `threads`: of torch, in each; 0: all cores divided by the processes that share them. `progress`: a bar over the
        tasks.
        """
        if threads > (most := max(_MANY, cores())):
            raise ConfigError(
                f"trainer.threads={threads}, but this machine has {cores()} cores for them; "
                f"give at most {most}, or 0 for all cores"
            )
        self.device = device_named(device)
        if self.device.type == "cuda" and devices > torch.cuda.device_count():
            raise ConfigError(
                f"trainer.devices={devices}, but torch sees {torch.cuda.device_count()} CUDA devices; give at most "
                "as many, or trainer.device=cpu"
            )
        self.devices = devices
        self.precision = precision
        self.progress = progress
        self.asked_threads = threads

    def threads(self, jobs: int) -> int:
        """The threads of each process of one of `jobs` runs that share this machine."""
        return self.asked_threads or max(1, cores() // (jobs * self.devices))


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device_named(name: str) -> torch.device:
    """The torch device of trainer.device; a GPU with its index, without which Lightning refuses it."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("trainer.device=cuda, but torch sees no CUDA device; use trainer.device=auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
