"""Evidence candidates of a finished run: which items a newcomer should be asked to rate first (melu.md, f)."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from recretrain.backbones.content import ContentNet
from recretrain.data.kinds import Ratings
from recretrain.data.stream import Stream
from recretrain.engine.build import experiment
from recretrain.engine.store import RunStore
from recretrain.errors import ConfigError
from recretrain.methods.parts.evidence import Evidence, evidence, gradient_norms


@dataclass(frozen=True)
class Candidate:
    place: int
    item: str  # the raw id
    title: str
    score: float
    discrimination: float
    popularity: float


def candidates(folder: Path, *, top: int, least_error: float, norm: Literal["decisions", "tensors"]) -> list[Candidate]:
    """The best of a MeLU run, also written to `evidence.csv` in its folder; pairs are the supports it learned from."""
    config, choices = _run(folder)  # before the store, which would make the folder of a misspelt name
    store, asked = RunStore(folder), experiment(config, choices=choices, overrides=[])
    method, device = asked.method(), asked.machine.device
    if not isinstance(method.backbone, ContentNet):
        raise ConfigError(f"{folder} is a run of {type(method).__name__}; evidence candidates are MeLU's")
    last = store.done() - 1
    if last < 0:
        raise ConfigError(f"{folder} has no finished task; repeat its command first")
    method.load_state_dict(store.state(last, device))
    learned = asked.schedule.tasks(asked.stream, lambda what, rows: None)[last]().period.questions
    assert isinstance(learned, Ratings)
    pairs = learned.given().to(device)
    rating = pairs.other["rating"]
    norms = gradient_norms(method.backbone, pairs.user, pairs.item, rating, of=norm, least_error=least_error)
    found = _named(asked.stream, evidence(pairs.item.cpu(), norms.cpu()), top)
    _write(folder / "evidence.csv", found)
    return found


def _run(folder: Path) -> tuple[DictConfig, dict[str, str]]:
    """The configuration of a run folder, and the option chosen in each group."""
    file, card = folder / "config.yaml", folder / "run.json"
    if not file.is_file() or not card.is_file():
        raise ConfigError(f"{folder} is no run folder (it has no config.yaml and run.json); name one below outputs/")
    config = OmegaConf.load(file)
    assert isinstance(config, DictConfig)
    facts = json.loads(card.read_text())
    return config, {group: str(facts[group]) for group in ("method", "data", "backbone", "schedule", "eval")}


def _named(stream: Stream, found: Evidence, top: int) -> list[Candidate]:
    keys = _column(stream.folder / "items.parquet", "key")
    titles = _column(stream.folder / "titles.parquet", "title")
    rows = zip(*(_numbers(part[:top]) for part in (found.score, found.discrimination, found.popularity)), strict=True)
    return [
        Candidate(place, keys[item], titles.get(item, ""), *figures)
        for place, (item, figures) in enumerate(zip(found.item[:top].tolist(), rows, strict=True), start=1)
    ]


def _column(file: Path, name: str) -> dict[int, str]:
    if not file.is_file():
        return {}
    table = pq.read_table(file, columns=["id", name])
    return dict(zip(table.column("id").to_pylist(), map(str, table.column(name).to_pylist()), strict=True))


def _numbers(values: Tensor) -> list[float]:
    return [float(value) for value in values.double()]


def _write(file: Path, found: Sequence[Candidate]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(Candidate.__dataclass_fields__)
        writer.writerows(vars(candidate).values() for candidate in found)
