"""A small run of one method of each family, and all that it leaves behind."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recretrain.testing.contract import same

VARY = ("costs.csv", "losses.csv", "files.json", "config.yaml")  # seconds, fits that another run did, digests, paths
_SYNTHETIC = ("data.source=synthetic", "trainer.device=cpu", "trainer.threads=1", "trainer.progress=false")
FAMILIES: Mapping[str, Sequence[str]] = {
    "sml": (
        *("method=sml", "data=yelp", "data.generator.reviews=600", "data.generator.users=60"),
        *("data.generator.items=60", "data.filters.k_core=0", "data.cut.periods=6", "schedule.start=2"),
        *("schedule.first_test=3", "schedule.choosing=1", "eval.questions.candidates=10", "backbone.embedding_size=8"),
        *("method.loops=2", "method.pretraining.epochs=1"),
    ),
    "ader": (
        *("method=ader", "data=diginetica", "data.generator.clicks=900", "data.generator.items=60"),
        *("data.generator.days=28", "data.cut.periods=4", "method.learner.epochs=1", "backbone.embedding_size=8"),
    ),
    "peterrec": (
        *(
            "method=peterrec",
            "data=qq",
            "data.generator.users=80",
            "data.generator.items=80",
            "data.generator.labels=10",
        ),
    ),
    "melu": (
        *("method=melu", "data=movielens_timed", "data.generator.users=120", "data.generator.items=100"),
        *("data.generator.ratings=5000", "data.cut.periods=4", "schedule.start=1", "schedule.first_test=2"),
        *("schedule.choosing=0", "method.learner.epochs=1", "method.learner.batch_size=8"),
    ),
    "catn": (
        *("method=catn", "data=amazon_pair", "data.generator.users=60", "data.generator.items=30"),
        *("data.generator.reviews=500", "data.generator.speech.length=8", "data.generator.speech.common=100"),
        *("data.domains.core.min_item=2", "data.domains.core.min_user=2", "backbone.words=frozen"),
        *("backbone.style.longest=20", "backbone.style.filters=4", "backbone.style.aspects=2"),
        *("backbone.style.aspect_size=4", "method.learner.batch_size=64", "method.learner.stopping.epochs=2"),
        *("method.learner.stopping.least_steps=0", "method.learner.stopping.patience_steps=0"),
        *("schedule=next_period", "data.split=null", "cut@data.cut=forty", "data.cut.periods=4"),
        *("schedule.start=1", "schedule.first_test=2", "schedule.choosing=0"),
    ),
}


def words(family: str, place: Path, *more: str) -> list[str]:
    """The overrides of the family's run, with its outputs and prepared data below `place`."""
    paths = (f"paths.outputs={place / 'out'}", f"paths.cache={place / 'cache'}", f"paths.data={place / 'none'}")
    return [*FAMILIES[family], *_SYNTHETIC, *paths, *more]


def kept(place: Path) -> dict[str, Any]:
    """All that a run left below `place` which must not depend on how often it was killed, by the file's path."""
    return {str(file.relative_to(place)): _content(file) for file in sorted(place.rglob("*")) if file.is_file()}


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The files that one has and the other has not, and those that differ."""
    other = [name for name in found.keys() & wanted.keys() if not same(found[name], wanted[name])]
    return sorted({*other, *(found.keys() ^ wanted.keys())})


def _content(file: Path) -> Any:
    if file.suffix == ".pt":  # the bytes of equal states may differ
        state = torch.load(file, weights_only=True)
        return {key: value for key, value in state.items() if key not in ("wall_seconds", "cpu_seconds")}
    if file.suffix == ".npz":
        with np.load(file) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    if file.name == "run.json":
        card = json.loads(file.read_text())
        return {key: value for key, value in card.items() if key not in ("started", "processes", "overrides", "sha256")}
    if file.suffix == ".gz":  # its head has the time
        return gzip.decompress(file.read_bytes())
    if file.name in VARY:
        return True
    return file.read_bytes()
