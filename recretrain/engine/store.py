"""A task's folder exists if and only if the task is finished."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout

from recretrain.errors import ConfigError
from recretrain.records import Costs, Loss, Row


class RunStore:
    """The files of a run folder (docs/contracts.md). Everything is written aside, then renamed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tasks = folder / "tasks"
        self.tasks.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process out; the lock goes with the process, also when it is killed."""
        lock = FileLock(self.folder / "run.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(
                f"another process is working in {self.folder}; wait for it, or give this run its own paths.outputs"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def done(self) -> int:
        """How many tasks are finished: the folders 0, 1, ... without a gap."""
        index = 0
        while (self.tasks / str(index)).is_dir():
            index += 1
        return index

    def commit(
        self,
        costs: Costs,
        rows: Iterable[Row],
        ranks: Mapping[str, npt.NDArray[Any]],
        state: Mapping[str, Any],
        losses: Iterable[Loss] = (),
    ) -> None:
        """Make task `costs.task` finished, with all its files at once."""
        index = costs.task
        aside = self.tasks / f".{index}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        torch.save(dict(state), aside / "state.pt")
        costs = replace(costs, state_bytes=(aside / "state.pt").stat().st_size)
        _write_csv(aside / "rows.csv", Row, rows)
        _write_csv(aside / "costs.csv", Costs, [costs])
        _write_csv(aside / "losses.csv", Loss, losses)
        np.savez_compressed(aside / "ranks.npz", **ranks)  # type: ignore[arg-type]
        _flush(aside)
        os.replace(aside, self.tasks / str(index))
        for earlier in self.tasks.glob("*/state.pt"):
            if int(earlier.parent.name) < index:
                earlier.unlink()

    def state(self, index: int, device: torch.device) -> dict[str, Any]:
        """The state after task `index`, the newest one."""
        path = self.tasks / str(index) / "state.pt"
        if not path.exists():
            raise ConfigError(f"{path} is gone, so the run cannot go on; delete {self.folder} and run again")
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        return state

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        aside = self.folder / f".{name}"
        aside.write_text(text)
        os.replace(aside, self.folder / name)

    def read_json(self, name: str) -> dict[str, Any] | None:
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None


def _write_csv(path: Path, kind: type[Any], records: Iterable[Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f.name for f in fields(kind)])
        writer.writerows(astuple(record) for record in records)


def _flush(folder: Path) -> None:
    """A rename must not reach the disk before what it names."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
