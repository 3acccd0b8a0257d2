"""A task's folder exists if and only if the task is finished."""

from __future__ import annotations

import csv
import json
import os
import pickle
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

from recretrain import sealed
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
        """How many tasks are finished, from the first one without a gap."""
        return len(sealed.finished(self.tasks))

    def check(self) -> None:
        """Raise ConfigError where a file of a finished task is not as it was written."""
        for folder in sealed.finished(self.tasks):
            if what := sealed.damage(folder):
                raise ConfigError(f"{what}; delete {self.folder}, the run's command makes it again")

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
        sealed.seal(aside)
        _flush(aside)
        final = self.tasks / str(index)
        shutil.rmtree(final, ignore_errors=True)  # what is left of a task that is not whole
        os.replace(aside, final)
        _flush(self.tasks)
        for earlier in range(index):
            (self.tasks / str(earlier) / sealed.STATE).unlink(missing_ok=True)

    def state(self, index: int, device: torch.device) -> dict[str, Any]:
        """The state after task `index`, the newest one."""
        path = self.tasks / str(index) / "state.pt"
        if not path.exists():
            raise ConfigError(f"{path} is gone, so the run cannot go on; delete {self.folder} and run again")
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError) as error:
            raise ConfigError(f"{path} is damaged ({_first(error)}); delete {self.folder} and run again") from error
        return state

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self.write_text(name, json.dumps(content, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        aside = self.folder / f".{name}"
        with aside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, self.folder / name)

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A file of the run; None where there is none. Raises ConfigError for one that is damaged."""
        path = self.folder / name
        if not path.exists():
            return None
        try:
            content: dict[str, Any] = json.loads(path.read_text())
        except ValueError as error:
            raise ConfigError(f"{path} is damaged ({_first(error)}); delete {self.folder} and run again") from error
        return content


def _write_csv(path: Path, kind: type[Any], records: Iterable[Any]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f.name for f in fields(kind)])
        writer.writerows(astuple(record) for record in records)


def _flush(folder: Path) -> None:
    """A rename must not reach the disk before what it names, nor be forgotten."""
    for path in (*folder.iterdir(), folder):
        if path.is_dir() and path != folder:
            continue
        place = os.open(path, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def _first(error: Exception) -> str:
    """The first line of what went wrong."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
