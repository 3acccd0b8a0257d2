"""What only a machine with a GPU can show: every method learns and answers there, and its state serves on a CPU."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.engine.build import method_of
from recretrain.engine.fitter import Fitter
from recretrain.engine.machine import device_named
from recretrain.engine.seeds import seed_task
from recretrain.evaluation.base import Arrays
from recretrain.testing.contract import CPU, case, through_a_file
from tests.gpu import walk

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]


@pytest.mark.parametrize("name", walk.methods())
def test_a_method_learns_on_a_gpu_and_its_state_answers_on_a_cpu(name: str, tmp_path: Path) -> None:
    """From a device that the engine itself names; the CPU's answers are the GPU's but for rounding."""
    cuda = device_named("cuda")
    made = case(*walk.methods()[name])
    stream = made.stream(tmp_path / "s")
    method = method_of(made.settings, stream, 0, cuda)
    for task in made.tasks(stream):
        method.update(task, Fitter(cuda, seed_task(0, task.index, cuda), "32-true"))
        served = method_of(made.settings, stream, 0, CPU)
        served.load_state_dict(through_a_file(method.state_dict(), CPU))
        for test in task.tests().values():
            answer = made.evaluator.answer(method, task.index, "test", test, cuda)
            assert all(math.isfinite(row.value) for row in answer.rows)
            _alike(answer.kept, made.evaluator.answer(served, task.index, "test", test, CPU).kept)
    assert method.backbone.device == cuda


def _alike(ours: Arrays, theirs: Arrays) -> None:
    """Predictions to 1e-3; of ranks, which rounding may turn where two scores are near, 98 of 100 the same."""
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        if np.issubdtype(values.dtype, np.floating):
            np.testing.assert_allclose(values, theirs[name], atol=1e-3, err_msg=name)
        else:
            assert (values == theirs[name]).mean() >= 0.98, name
