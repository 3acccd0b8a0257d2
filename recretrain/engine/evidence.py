"""Evidence candidates of a finished run: which items a newcomer should be asked to rate first (melu.md, f)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from recretrain.backbones.content import ContentNet
from recretrain.data.kinds import Ratings
from recretrain.data.stream import Stream
from recretrain.engine.finished import column, finished
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


def candidates(
    folder: Path,
    *,
    top: int,
    least_error: float,
    norm: Literal["decisions", "tensors"],
    trusted: Sequence[str] = (),
) -> list[Candidate]:
    """The best of a MeLU run, also written to `evidence.csv` in its folder; pairs are the supports it learned from."""
    asked, method, last = finished(folder, trusted)
    if not isinstance(method.backbone, ContentNet):
        raise ConfigError(f"{folder} is a run of {type(method).__name__}; evidence candidates are MeLU's")
    learned = asked.schedule.tasks(asked.stream, lambda what, rows: None)[last]().period.questions
    assert isinstance(learned, Ratings)
    pairs = learned.given().to(asked.machine.device)
    rating = pairs.other["rating"]
    norms = gradient_norms(method.backbone, pairs.user, pairs.item, rating, of=norm, least_error=least_error)
    found = _named(asked.stream, evidence(pairs.item.cpu(), norms.cpu()), top)
    _write(folder / "evidence.csv", found)
    return found


def _named(stream: Stream, found: Evidence, top: int) -> list[Candidate]:
    keys = column(stream.folder / "items.parquet", "key")
    titles = column(stream.folder / "titles.parquet", "title")
    rows = zip(*(_numbers(part[:top]) for part in (found.score, found.discrimination, found.popularity)), strict=True)
    return [
        Candidate(place, keys[item], titles.get(item, ""), *figures)
        for place, (item, figures) in enumerate(zip(found.item[:top].tolist(), rows, strict=True), start=1)
    ]


def _numbers(values: Tensor) -> list[float]:
    return [float(value) for value in values.double()]


def _write(file: Path, found: Sequence[Candidate]) -> None:
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(Candidate.__dataclass_fields__)
        writer.writerows(vars(candidate).values() for candidate in found)
