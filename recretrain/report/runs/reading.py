"""Reads every run below an outputs folder, and the figures that its finished tasks measured."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import pandas as pd
from omegaconf import OmegaConf

from recretrain import sealed
from recretrain.errors import ConfigError, ReportError
from recretrain.records import FORMAT, Costs, Row, RunCard
from recretrain.report.runs.run import Run

log = logging.getLogger(__name__)

_READ = ("rows.csv", "costs.csv")
SELECTABLE = ("data", "method", "schedule", "eval", "data_source", "variant", "seed", "backbone")


def read_runs(outputs: Path, only: Mapping[str, str] | None = None) -> list[Run]:
    """All runs below `outputs` with these facts, complete or not; of a run and its copy one is read.

    Values of `only` may be alternatives, such as `method: sml,spmf`. Raises ReportError for a fact that no run has.
    """
    runs: dict[tuple[str, str, str], Run] = {}
    for folder, card in _cards(outputs):
        if not _selected(card, only or {}):
            continue
        key = (card["method"], card["digest"], card["data_digest"])  # two methods may be set to the same
        if key in runs:
            log.warning("%s repeats %s; left out", folder, runs[key].folder)
        else:
            runs[key] = _run(folder, card)
    return list(runs.values())


def shortfalls(runs: Sequence[Run]) -> list[str]:
    return [run.shortfall() for run in runs if not run.complete]


def tidy(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    """One row per run, task, period, group, metric and k; `labels` names each variant."""
    return _tagged(runs, labels, [run.rows for run in runs], Row)


def tidy_costs(runs: Sequence[Run], labels: Mapping[str, str]) -> pd.DataFrame:
    return _tagged(runs, labels, [run.costs for run in runs], Costs)


def _tagged(
    runs: Sequence[Run], labels: Mapping[str, str], frames: Sequence[pd.DataFrame], kind: type[Any]
) -> pd.DataFrame:
    parts = [frame.assign(label=labels[run.variant], seed=run.seed) for run, frame in zip(runs, frames, strict=True)]
    empty = pd.DataFrame(columns=[*(field.name for field in fields(kind)), "label", "seed"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def faults(outputs: Path) -> Iterator[str]:
    """Tell each fault of the cards and settings of the runs below `outputs`."""
    for tasks in sorted(path for path in outputs.rglob("tasks") if sealed.finished(path)):
        folder = tasks.parent
        if not (folder / "run.json").is_file():
            yield f"{folder / 'run.json'} is gone; delete {folder} and run again"
            continue
        try:
            card = sealed.read_card(folder / "run.json")
        except ConfigError as error:
            yield str(error)
            continue
        if sealed.is_elsewhere(folder, card):
            yield f"{folder / 'run.json'} is of another run ({card['digest']}); delete {folder} and run again"
        elif what := _config_damage(folder, card):
            yield f"{folder / 'config.yaml'} {what}; repeat the run's command, which writes it anew"


def _cards(outputs: Path) -> Iterator[tuple[Path, RunCard]]:
    """The folder and the card of each run; what cannot be read is logged."""
    for what in faults(outputs):
        log.warning("left out: %s", what)
    outdated = []
    for path in sorted(outputs.rglob("run.json")):
        card = _content(path)
        if card.get("format") == FORMAT and RunCard.__required_keys__ <= card.keys():
            if not sealed.is_elsewhere(path.parent, card) and not _config_damage(path.parent, card):
                yield path.parent, cast(RunCard, card)
        elif {"format", "method", "digest"} <= card.keys():
            outdated.append(path.parent)
        elif not sealed.finished(path.parent / "tasks"):
            log.warning("%s is not a run of recretrain; left out", path)
    if outdated:
        others = f" and {len(outdated) - 1} more" if len(outdated) > 1 else ""
        log.warning("left out %s%s: written by another version of recretrain", outdated[0], others)


def _config_damage(folder: Path, card: Mapping[str, Any]) -> str | None:
    """Tell the fault of the settings beside a card; None where there is none, or nothing tells."""
    path = folder / "config.yaml"
    if not path.is_file():
        return "is gone" if sealed.finished(folder / "tasks") else None
    what = sealed.text_damage(path.read_text(errors="replace"), card.get("digest"))
    return f"is damaged ({what})" if what else None


def _content(path: Path) -> dict[str, Any]:
    """Nothing for a file that is damaged, or that another program wrote."""
    try:
        return sealed.read_card(path)
    except ConfigError:
        return {}


def _run(folder: Path, card: RunCard) -> Run:
    tasks = sealed.finished(folder / "tasks")
    damage = next((what for task in tasks if (what := sealed.damage(task, _READ))), None)
    if damage is not None:  # none of its figures can be trusted
        tasks = []
    rows, costs = _read(tasks, "rows.csv", Row), _read(tasks, "costs.csv", Costs)
    return Run(folder, card, _config(folder / "config.yaml"), len(tasks), rows, costs, damage)


def _read(tasks: Sequence[Path], name: str, kind: type[Any]) -> pd.DataFrame:
    """The records of all tasks in one frame; numbers as floats."""
    records: list[dict[str, str]] = []  # one frame for all: a frame for every file takes ten times as long
    for path in tasks:
        with (path / name).open(newline="") as file:
            records += csv.DictReader(file)
    frame = pd.DataFrame(records, columns=[field.name for field in fields(kind)])
    return frame.astype({field.name: float for field in fields(kind) if field.type not in (str, "str")})


def _config(path: Path) -> dict[str, Any]:
    options = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else None
    return {str(key): value for key, value in options.items()} if isinstance(options, dict) else {}


def _selected(card: RunCard, only: Mapping[str, str]) -> bool:
    for key, value in only.items():
        if key not in SELECTABLE:
            raise ReportError(f"cannot select runs by {key!r}; choose from {', '.join(SELECTABLE)}")
        if str(card.get(key)) not in value.split(","):
            return False
    return True
