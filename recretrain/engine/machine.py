"""The machine of a run: its device, threads, number formats and whether repeats are equal (conf/trainer)."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import torch

from recretrain.errors import ConfigError
from recretrain.values import Within

_MANY = 64  # threads that a run may ask for wherever it is begun


class Machine:
    """All but `device`, `threads` and `progress` can change results, and is part of a run's digest."""

    def __init__(
        self,
        *,
        device: Literal["auto", "cpu", "cuda"],
        devices: Annotated[int, Within(1, 64)],
        precision: Literal["32-true", "bf16-mixed"],
        matmul: Literal["highest", "high"],
        deterministic: bool,
        graphs: bool,
        threads: Annotated[int, Within(0, 1024)],
        progress: bool,
    ) -> None:
        """`devices`: processes that learn together, each with a GPU or threads of its own.

        `matmul`: of products of single precision on a GPU, `high` rounds their factors to TF32. `deterministic`: sums
        on a GPU in an order of their own, where torch has a way to. `graphs`: steps of factorisation on a GPU are
        recorded and repeated.

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
        if graphs and (devices, precision, deterministic) != (1, "32-true", False):
            raise ConfigError(
                "trainer.graphs=true records steps of one device and single precision, whose sums are in any order; "
                "give trainer.devices=1 trainer.precision=32-true trainer.deterministic=false, or trainer.graphs=false"
            )
        self.devices = devices
        self.precision = precision
        self.matmul = matmul
        self.deterministic = deterministic
        self.graphs = graphs
        self.progress = progress
        self.asked_threads = threads

    def threads(self, jobs: int, useful: int | None = None) -> int:
        """The threads of each process of one of `jobs` runs that share this machine.

        `useful`: no more than these make the method faster.
        """
        some = max(1, cores() // (jobs * self.devices))
        return self.asked_threads or (some if useful is None else min(some, useful))

    def ready(self, threads: int) -> None:
        """Have torch compute as this machine is told to, in this process."""
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(self.matmul)
        if self.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(self.deterministic, warn_only=True)


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
