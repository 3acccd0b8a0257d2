"""A run on two GPUs learns what one learns, up to rounding."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from tests.commands.test_devices import learned
from tests.reliability import runs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]


def test_two_gpus_learn_what_one_does(tmp_path: Path) -> None:
    for count in (1, 2):
        words = runs.words("sml", tmp_path / str(count), "trainer.device=cuda", f"trainer.devices={count}")
        config, choices = compose([word for word in words if word != "trainer.device=cpu"])
        run(config, choices=choices, overrides=words)

    one, two = learned(tmp_path / "1"), learned(tmp_path / "2")

    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=1e-4, msg=name)
