"""The machine of a run: its device, and the threads of one of its jobs."""

from __future__ import annotations

import pytest
import torch

from recretrain.engine import machine
from recretrain.engine.machine import Machine, device_named
from recretrain.errors import ConfigError


def of(**changes) -> Machine:
    plain = {"device": "cpu", "devices": 1, "precision": "32-true", "threads": 0, "progress": False}
    plain |= {"matmul": "highest", "deterministic": False, "graphs": False}
    return Machine(**{**plain, **changes})


@pytest.mark.parametrize(
    ("cores", "jobs", "given", "threads"),
    [(8, 1, 0, 8), (8, 3, 0, 2), (2, 8, 0, 1), (1, 1, 0, 1), (8, 4, 5, 5)],
)
def test_cores_are_divided_by_the_jobs_that_share_them_unless_threads_are_given(
    cores, jobs, given, threads, monkeypatch
):
    monkeypatch.setattr(machine, "cores", lambda: cores)

    assert of(threads=given).threads(jobs) == threads


@pytest.mark.parametrize(
    ("name", "gpu", "device"), [("cpu", True, "cpu"), ("cpu", False, "cpu"), ("auto", False, "cpu")]
)
def test_a_device_without_a_gpu_or_against_one_is_the_cpu(name, gpu, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)

    assert of(device=name).device == device_named(name) == torch.device(device)


def test_a_gpu_that_is_not_there_is_named_with_the_cure(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ConfigError, match=r"trainer\.device=cuda, but torch sees no CUDA device; use trainer\.device="):
        of(device="cuda")


def test_processes_of_a_run_share_the_cores_too(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)

    assert of(devices=2).threads(2) == 2


def test_more_devices_than_there_are_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    assert of(device="cuda", devices=2).devices == 2
    with pytest.raises(ConfigError, match=r"trainer\.devices=3, but torch sees 2 CUDA devices; give at most as many"):
        of(device="cuda", devices=3)
    assert of(device="cpu", devices=3).devices == 3


def test_far_more_threads_than_cores_are_refused(monkeypatch):
    monkeypatch.setattr("recretrain.engine.machine.cores", lambda: 8)

    assert of(threads=64).threads(1) == 64
    with pytest.raises(ConfigError, match=r"trainer\.threads=65, but this machine has 8 cores for them; give at most"):
        of(threads=65)


@pytest.mark.parametrize(("given", "useful", "threads"), [(0, 1, 1), (0, 3, 3), (0, 99, 8), (5, 1, 5)])
def test_a_method_takes_no_more_threads_than_help_unless_they_are_given(given, useful, threads, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 8)

    assert of(threads=given).threads(1, useful) == threads


def test_torch_computes_as_the_machine_is_told_to():
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    try:
        of(matmul="high", deterministic=True).ready(1)
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_num_threads() == 1

        of().ready(2)  # the next run of a sweep, in the same process
        assert torch.get_float32_matmul_precision() == "highest"
        assert not torch.are_deterministic_algorithms_enabled()
    finally:
        torch.set_num_threads(before[0])
        torch.set_float32_matmul_precision(before[1])
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("beside", [{"devices": 2}, {"precision": "bf16-mixed"}, {"deterministic": True}])
def test_recorded_steps_are_refused_beside_what_they_cannot_do(beside):
    assert of(graphs=True).graphs
    with pytest.raises(ConfigError, match=r"trainer.graphs=true .* or trainer.graphs=false"):
        of(graphs=True, **beside)
