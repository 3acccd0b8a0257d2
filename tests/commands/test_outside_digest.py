"""A key outside the digest changes no result: two values of it give one run folder and equal ranks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recretrain.configuration.compose import compose, digest
from recretrain.records import OUTSIDE_DIGEST

TINY = [
    "method=sml",
    "data.source=synthetic",
    "data.generator.reviews=1500",
    "data.generator.users=100",
    "data.generator.items=100",
    "data.filters.k_core=0",
    "data.cut.periods=6",
    "schedule.start=3",
    "schedule.first_test=4",
    "schedule.choosing=1",
    "eval.questions.candidates=20",
    "method.loops=2",
    "method.pretraining.epochs=2",
    "trainer.device=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
]
OTHER = {  # of each key: another value, or several that give it one
    "hydra": ["hydra.launcher.n_jobs=1"],
    "paths": ["paths.outputs=elsewhere", "paths.cache=elsewhere/cache", "paths.memory=300MB"],
    "logger": ["+logger._target_=pytorch_lightning.loggers.CSVLogger", "+logger.save_dir=figures"],
    "trainer.device": ["trainer.device=auto"],
    "trainer.threads": ["trainer.threads=2"],
    "trainer.progress": ["trainer.progress=true"],
    "schedule.last_test": ["schedule.last_test=4"],
    "data.about": ["data.about.summary=words"],
    "data.path": ["data.path=elsewhere"],
    "search": ["search=[]"],
    "floor": ["floor=true"],
}


FIRST: dict[str, Any] = {}  # ranks without any of them; found once


def test_every_key_outside_has_two_values_here() -> None:
    assert OTHER.keys() == set(OUTSIDE_DIGEST)


@pytest.mark.parametrize("key", OTHER)
def test_they_leave_the_digest_alone(key: str) -> None:
    assert digest(compose([*TINY, *OTHER[key]])[0]) == digest(compose(TINY)[0])


@pytest.mark.slow
@pytest.mark.parametrize("key", OTHER)
def test_they_leave_the_ranks_alone(recretrain: Any, key: str) -> None:
    if not FIRST:
        FIRST.update(_ranks(recretrain, *TINY))

    others = _ranks(recretrain, *TINY, *OTHER[key])

    assert set(others) <= set(FIRST)
    assert len(others) >= 2  # ranks of a period, and whose user is new in it
    for name, values in others.items():
        assert np.array_equal(values, FIRST[name]), name


def _ranks(recretrain: Any, *overrides: str) -> dict[str, Any]:
    """Every array of ranks.npz of every task; the run's folders are removed, so that the next one begins anew."""
    result = recretrain("run", *overrides)
    assert result.code == 0, result.err
    files = sorted(Path().rglob("ranks.npz"))
    found = {f"{file.parent.name}/{name}": values for file in files for name, values in np.load(file).items()}
    for folder in ("outputs", "data", "elsewhere"):
        shutil.rmtree(folder, ignore_errors=True)
    return found
