"""Every run below an outputs folder, and what its finished tasks measured."""

import csv
import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import OmegaConf

from recretrain.errors import ReportError

log = logging.getLogger(__name__)

FORMAT = 1
ROWS = ("task", "period", "test", "group", "metric", "k", "value", "n")
WORDS = ("test", "group", "metric")
COSTS = (
    "task",
    "wall_seconds",
    "cpu_seconds",
    "peak_memory_mb",
    "rows_read",
    "trained_parameters",
    "state_bytes",
)
SELECTABLE = ("data", "method", "schedule", "eval", "data_source", "variant", "seed", "backbone")


@dataclass(frozen=True)
class Questions:
    """What was asked, on which data. Runs with equal questions may stand in one table, others may not."""

    data: str
    source: str  # raw | synthetic
    digest: str  # of the prepared data
    kind: str  # interactions | prefixes (of sessions)
    catalogue: str  # the eval that ranked: sampled | full
    candidates: int | None  # None where the run does not say
    drawn: int | None  # seed of the candidates
    choosing: tuple[int, ...]
    tested: tuple[int, ...]

    def periods(self, test: str) -> tuple[int, ...]:
        return self.choosing if test == "choosing" else self.tested

    @property
    def synthetic(self) -> bool:
        return self.source == "synthetic"

    @property
    def name(self) -> str:
        """Short and the same for equal questions, for file names."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:6]


@dataclass(frozen=True, eq=False)
class Run:
    folder: Path
    facts: Mapping[str, Any]  # run.json
    config: Mapping[str, Any]  # config.yaml
    questions: Questions
    done: int
    rows: pd.DataFrame
    costs: pd.DataFrame

    @property
    def method(self) -> str:
        return str(self.facts["method"])

    @property
    def variant(self) -> str:
        """The digest without the seed, and the method: two methods may be set to the same."""
        return f"{self.facts['variant']}-{self.method}"

    @property
    def seed(self) -> int:
        return int(self.facts["seed"])

    @property
    def overrides(self) -> tuple[str, ...]:
        return tuple(self.facts["overrides"])

    @property
    def complete(self) -> bool:
        return self.done >= int(self.facts["tasks"])

    def shortfall(self) -> str:
        """One line on why this run is not in the tables."""
        text = f"{self.folder}: {self.done} of {self.facts['tasks']} tasks"
        error = self.folder / "error.txt"
        lines = error.read_text().strip().splitlines() if error.is_file() else []
        return f"{text}; failed: {lines[-1]}" if lines else text


RowOf = Callable[[Run], str | None]  # the row of a table that a run stands in; None: in none


def method_of(run: Run) -> str | None:
    return run.method


def read_runs(outputs: Path, only: Mapping[str, str] | None = None) -> list[Run]:
    """All runs below `outputs`, complete or not; a run that stands there twice (a copy) is read once."""
    runs: dict[tuple[str, str, str], Run] = {}
    for run in _runs(outputs):
        if not _selected(run, only or {}):
            continue
        key = (run.method, str(run.facts["digest"]), run.questions.digest)  # two methods may be set to the same
        if key in runs:
            log.warning("%s repeats %s; left out", run.folder, runs[key].folder)
        else:
            runs[key] = run
    return list(runs.values())


def shortfalls(runs: Sequence[Run]) -> list[str]:
    return [run.shortfall() for run in runs if not run.complete]


def tidy(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    """One row per run, task, period, group, metric and k; `labels` names each variant."""
    return _tagged(runs, labels, [run.rows for run in runs], ROWS)


def tidy_costs(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    return _tagged(runs, labels, [run.costs for run in runs], COSTS)


def _tagged(
    runs: Sequence[Run], labels: Mapping[str, str], frames: Sequence[pd.DataFrame], columns: Sequence[str]
) -> pd.DataFrame:
    parts = [frame.assign(label=labels[run.variant], seed=run.seed) for run, frame in zip(runs, frames, strict=True)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*columns, "label", "seed"])


def _runs(outputs: Path) -> Iterator[Run]:
    for path in sorted(outputs.rglob("run.json")):
        facts = _facts(path)
        if facts is not None:
            yield _run(path.parent, facts)


def _facts(path: Path) -> dict[str, Any] | None:
    """The run's facts, or None for a run.json that another program wrote."""
    try:
        facts = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError):
        facts = None
    needed = {"method", "data", "seed", "variant", "digest", "data_source", "data_digest", "tasks", "tested"}
    if isinstance(facts, dict) and facts.get("format") == FORMAT and needed <= facts.keys():
        return {"overrides": [], "choosing": [], "eval": "", "schedule": "", "backbone": "", **facts}
    log.warning("%s is not a run of this program; left out", path)
    return None


def _run(folder: Path, facts: Mapping[str, Any]) -> Run:
    tasks = sorted((path for path in folder.glob("tasks/*") if path.name.isdigit()), key=lambda path: int(path.name))
    tasks = [path for path in tasks if (path / "rows.csv").is_file() and (path / "costs.csv").is_file()]
    config = _config(folder / "config.yaml")
    return Run(
        folder=folder,
        facts=facts,
        config=config,
        questions=_questions(config, facts),
        done=len(tasks),
        rows=_read(tasks, "rows.csv", ROWS),
        costs=_read(tasks, "costs.csv", COSTS),
    )


def _read(tasks: Sequence[Path], name: str, columns: Sequence[str]) -> pd.DataFrame:
    records: list[dict[str, str]] = []  # one frame for all: a frame for every file takes ten times as long
    for path in tasks:
        with (path / name).open(newline="") as file:
            records += csv.DictReader(file)
    frame = pd.DataFrame(records, columns=list(columns))
    return frame.astype({column: float for column in columns if column not in WORDS})


def _questions(config: Mapping[str, Any], facts: Mapping[str, Any]) -> Questions:
    """From the config: run.json holds only the name of the choice of eval, which overrides may have changed."""
    evaluation = config.get("eval")
    asked = evaluation if isinstance(evaluation, dict) else {}
    kind = str(asked.get("questions", "interactions"))  # older runs knew no others
    return Questions(
        data=str(facts["data"]),
        source=str(facts["data_source"]),
        digest=str(facts["data_digest"]),
        kind=kind,
        catalogue=_episodes(asked) if kind == "episodes" else str(asked.get("catalogue", facts["eval"])),
        candidates=asked.get("candidates"),
        drawn=asked.get("seed"),
        choosing=tuple(facts["choosing"]),
        tested=tuple(facts["tested"]),
    )


def _episodes(asked: Mapping[str, Any]) -> str:
    """Which users are asked, and what of them."""
    users = "new users" if asked.get("users") == "new" else "users"
    lengths = f"{asked.get('queries')} of {asked.get('shortest')}-{asked.get('longest')} ratings"
    return f"{lengths} of {users}, split {str(asked.get('split')).replace('_', ' ')}"


def _config(path: Path) -> dict[str, Any]:
    options = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else None
    return {str(key): value for key, value in options.items()} if isinstance(options, dict) else {}


def _selected(run: Run, only: Mapping[str, str]) -> bool:
    for key, value in only.items():
        if key not in SELECTABLE:
            raise ReportError(f"cannot select runs by {key!r}; choose from {', '.join(SELECTABLE)}")
        if str(run.facts.get(key)) not in value.split(","):
            return False
    return True
