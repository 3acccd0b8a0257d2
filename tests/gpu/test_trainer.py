"""The trainer's options on a GPU: each gives figures that are numbers, and a deterministic repeat gives the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from tests.gpu import walk
from tests.reliability import runs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


@pytest.mark.parametrize("family", ["sml", "ader", "melu"])
@pytest.mark.parametrize("option", sorted(walk.trainers().keys() - {"trainer.devices"}))
def test_an_option_of_the_trainer_gives_figures(option: str, family: str, tmp_path: Path) -> None:
    assert all(np.isfinite(learned(family, tmp_path, walk.trainers()[option])))


def test_a_deterministic_repeat_is_equal(tmp_path: Path) -> None:
    """ADER's is not without the option: its rows of items are added up in any order."""
    one, two = (learned("ader", tmp_path / name, "trainer.deterministic=true") for name in ("one", "two"))

    assert one == two


def learned(family: str, place: Path, word: str) -> list[float]:
    """The figures of a small run."""
    words = [other for other in runs.words(family, place, word) if other != "trainer.device=cpu"]
    config, choices = compose([*words, "trainer.device=cuda"])
    folder = run(config, choices=choices, overrides=words)
    files = sorted(folder.glob("tasks/*/rows.csv"))
    return [float(line.split(",")[-2]) for file in files for line in file.read_text().splitlines()[1:]]
