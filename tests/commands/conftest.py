"""Runs the command line in this process, in an empty folder, with or without a stand-in for the engine."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recretrain.commands.cli import main
from recretrain.configuration.compose import run_folder


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Command = Callable[..., Result]


@pytest.fixture
def recretrain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], root_logger: None, threads: None
) -> Command:
    """`recretrain("run", "seed=1")` from an empty folder."""
    for variable in ("RECRETRAIN_DATA", "RECRETRAIN_CACHE", "RECRETRAIN_TRACEBACK", "HYDRA_FULL_ERROR", "COMP_LINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        code = main(arguments)
        captured = capfd.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def threads() -> Iterator[None]:
    """A run sets those of the process; more threads than cores would slow all tests that follow."""
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def root_logger() -> Iterator[None]:
    """Hydra sets the handlers of the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers, root.level = handlers, level


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A stand-in that writes one file per run; returns the list of what it was asked to run."""
    asked: list[Any] = []

    def run(config: Any, *, choices: Mapping[str, str], overrides: Sequence[str], jobs: int) -> Path:
        asked.append(SimpleNamespace(config=config, choices=choices, overrides=list(overrides), jobs=jobs))
        folder = run_folder(config, choices)
        folder.mkdir(parents=True, exist_ok=True)
        if config.seed == 13:
            (folder / "error.txt").write_text("Traceback")
            raise RuntimeError("thirteen brings bad luck")
        (folder / "run.json").write_text('{"tasks": 1}')
        (folder / "tasks" / "0").mkdir(parents=True, exist_ok=True)
        for name in ("rows.csv", "costs.csv"):
            (folder / "tasks" / "0" / name).touch()
        return folder

    def render(outputs: Path, *, conf_dir: Path, table: str | None = None, **_: Any) -> str:
        runs = len(list(outputs.rglob("run.json")))
        return f"table {table} of {runs} runs in {outputs}"

    monkeypatch.setitem(sys.modules, "recretrain.engine.runner", SimpleNamespace(run=run))  # type: ignore[arg-type]
    monkeypatch.setattr("recretrain.report.render", render)
    return asked
