"""The trainer's options on a GPU: each gives figures that are numbers, and a deterministic repeat gives the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam, RowSGD
from recretrain.configuration.compose import compose
from recretrain.data.batches import Batches
from recretrain.data.interactions import Interactions
from recretrain.data.negatives import NegativeSampler
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.engine.machine import device_named
from recretrain.engine.runner import run
from recretrain.methods.learners.log_loss import LogLoss
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


@pytest.mark.parametrize("optimizer", [DenseAdam, RowSGD])
def test_recorded_steps_learn_what_plain_ones_do(optimizer: type[DenseAdam] | type[RowSGD]) -> None:
    """Two fits of 40 steps each; sums of rows come in any order, so not bit for bit."""
    plain, recorded = (fitted(optimizer, graphs) for graphs in (False, True))

    for one, other in zip(plain, recorded, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def fitted(optimizer: type[DenseAdam] | type[RowSGD], graphs: bool) -> list[torch.Tensor]:
    """The tables of a factorisation after two fits."""
    cuda = device_named("cuda")
    numbers = torch.Generator(cuda).manual_seed(1)
    user, item = (torch.randint(ids, (2560,), generator=numbers, device=cuda) for ids in (200, 300))
    sampler = NegativeSampler.within(user, item, 300)
    batches = Batches(Interactions(user, item), sampler, batch_size=64, generator=numbers)
    mf = MF(vocabulary=Vocabulary.of(n_users=200, n_items=300), embedding_size=16, init_std=0.1)
    mf.draw(torch.Generator().manual_seed(0))
    mf.to(cuda)
    moves = optimizer(list(mf.parameters()), learning_rate=0.01)
    for _ in range(2):
        Fitter(cuda, numbers, "32-true", graphs=graphs)(LogLoss(mf, moves, reg=0.001), batches, epochs=1)
    return [table.detach().cpu() for table in mf.parameters()]


def learned(family: str, place: Path, word: str) -> list[float]:
    """The figures of a small run."""
    words = [other for other in runs.words(family, place, word) if other != "trainer.device=cpu"]
    config, choices = compose([*words, "trainer.device=cuda"])
    folder = run(config, choices=choices, overrides=words)
    files = sorted(folder.glob("tasks/*/rows.csv"))
    return [float(line.split(",")[-2]) for file in files for line in file.read_text().splitlines()[1:]]
