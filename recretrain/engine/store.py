"""A task's folder exists if and only if the task is finished."""

from __future__ import annotations

import csv
import gzip
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
from recretrain.engine.changes import LEAST, changes, whole
from recretrain.errors import ConfigError
from recretrain.records import COPY, ROWS, Costs, Loss, Row
from recretrain.visible import first_line


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
        if damage := sealed.damage_of(sealed.finished(self.tasks)):
            raise ConfigError(f"{damage[0]}; delete {self.folder}, the run's command makes it again")

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
        before = self.tasks / str(index - 1) if index else None
        base = self._write_state(aside, state, before)
        costs = replace(costs, state_bytes=_size(aside, base))
        _write_csv(aside / ROWS, Row, rows)
        _write_csv(aside / "costs.csv", Costs, [costs])
        _write_csv(aside / "losses.csv", Loss, losses)
        np.savez_compressed(aside / "ranks.npz", **ranks)  # type: ignore[arg-type]
        (aside / COPY).write_bytes(gzip.compress((aside / ROWS).read_bytes(), mtime=0))
        sealed.seal(aside, after=before, base=base)
        _flush(aside)
        final = self.tasks / str(index)
        shutil.rmtree(final, ignore_errors=True)  # what is left of a task that is not whole
        os.replace(aside, final)
        _flush(self.tasks)
        self.tidy()

    def litter(self) -> list[Path]:
        """What a process that was killed has left."""
        return sealed.litter(self.folder)

    def tidy(self) -> None:
        """Remove the litter. Needs the lock."""
        for path in self.litter():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def mend(self) -> list[Path]:
        """Write rows.csv anew wherever it is damaged or gone and its copy is whole.

        What is written is what the seal tells of. Needs the lock.
        """
        return [task / ROWS for task in sorted(self.tasks.glob("[0-9]*")) if _mend(task)]

    def state(self, index: int, device: torch.device) -> dict[str, Any]:
        """The state after task `index`, the newest one."""
        task = self.tasks / str(index)
        if (base := sealed.base_of(task)) in (task, None):
            return self._loaded(task / sealed.STATE, device)
        told = self._loaded(task / sealed.CHANGES, device)
        return whole(told, self._loaded(base / sealed.STATE, device, mmap=True))

    def _loaded(self, path: Path, device: torch.device, *, mmap: bool = False) -> dict[str, Any]:
        """The content of a file of tensors; `mmap`: of which some will be looked at."""
        again = f"delete {self.folder} and run again"
        if not path.exists():
            raise ConfigError(f"{path} is gone, so the run cannot go on; {again}")
        try:
            found: dict[str, Any] = torch.load(path, map_location=device, weights_only=True, mmap=mmap)
        except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError) as error:
            raise ConfigError(f"{path} is damaged ({first_line(error)}); {again}") from error
        return found

    def _write_state(self, aside: Path, state: Mapping[str, Any], before: Path | None) -> Path | None:
        """Write what has changed since the newest whole state, or all of it; returns the task with the former, if so.

        It is written whole once that costs less than the changes that were written since.
        """
        base = sealed.base_of(before) if before else None
        if before and base and self._pays(base, before):
            found = changes(state, self._loaded(base / sealed.STATE, torch.device("cpu"), mmap=True))
            if found is not None:
                torch.save(found, aside / sealed.CHANGES)
                return base
        torch.save(dict(state), aside / sealed.STATE)
        return None

    def _pays(self, base: Path, last: Path) -> bool:
        """Whether the changes written since a whole state, up to task `last`, are fewer bytes than it has.

        False for one that is small or gone.
        """
        later = (self.tasks / str(index) for index in range(int(base.name) + 1, int(last.name) + 1))
        size = sealed.bytes_of(base, sealed.STATE)
        written = sum(sealed.bytes_of(task, sealed.CHANGES) for task in later)
        return (base / sealed.STATE).exists() and size >= LEAST and written < size

    def write_card(self, content: Mapping[str, Any]) -> None:
        """Write run.json, sealed."""
        self.write_text("run.json", json.dumps(sealed.sealed_card(content), indent=2) + "\n")

    def write_config(self, text: str, digest: str) -> None:
        """Write config.yaml of the run of this digest, sealed."""
        self.write_text("config.yaml", sealed.sealed_text(text, digest))

    def has_config(self, digest: str) -> bool:
        """Whether config.yaml is there, as it was written, and of the run of this digest."""
        path = self.folder / "config.yaml"
        return path.is_file() and sealed.text_damage(path.read_text(errors="replace"), digest) is None

    def write_text(self, name: str, text: str) -> None:
        aside = self.folder / f".{name}"
        with aside.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, self.folder / name)

    def card(self) -> dict[str, Any] | None:
        """The content of run.json; None where there is none. Raises ConfigError for one that is damaged."""
        path = self.folder / "run.json"
        if not path.exists():
            if sealed.finished(self.tasks):
                raise ConfigError(f"{path} is gone; delete {self.folder} and run again")
            return None
        card = sealed.read_card(path)
        if sealed.is_elsewhere(self.folder, card):
            raise ConfigError(f"{path} is of another run ({card.get('digest')}); delete {self.folder} and run again")
        return card


def _mend(task: Path) -> bool:
    """Write a task's rows.csv anew if need be and the copy lets it."""
    if sealed.is_as_sealed(task / ROWS) or not sealed.is_as_sealed(task / COPY):
        return False
    aside = task / f".{ROWS}"
    aside.write_bytes(gzip.decompress((task / COPY).read_bytes()))
    if not sealed.is_as_sealed(task / ROWS, aside):
        aside.unlink()
        return False
    os.replace(aside, task / ROWS)
    _flush(task)
    return True


def _size(task: Path, base: Path | None) -> int:
    """The bytes of the files that a task's state is in."""
    own = task / (sealed.STATE if base is None else sealed.CHANGES)
    return own.stat().st_size + (sealed.bytes_of(base, sealed.STATE) if base else 0)


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
