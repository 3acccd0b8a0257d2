"""Jobs of a cluster: lost ones are told of in one line, and one that is stopped for now goes on by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from submitit.core.utils import FailedJobError, FailedSubmissionError, UncompletedJobError

from recretrain.commands.clusters import jobs_told, queued_again
from recretrain.commands.endings import ended
from recretrain.errors import Mistake
from recretrain.interruption import Interruption
from tests.reliability import runs

LOST = "Job 77_3 (task: 0) with path /x.pkl\nhas not produced any output (state: OUT_OF_MEMORY)\nError stream ..."
TOO_OFTEN = "Job not requeued because: timed-out too many times."
REFUSED = "Traceback\nsbatch: error: invalid partition"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (UncompletedJobError(LOST), "job 77_3 of the sweep ended without a result (OUT_OF_MEMORY); the other jobs"),
        (FailedJobError(TOO_OFTEN), "more than hydra.launcher.max_num_timeout times"),
        (FailedSubmissionError(REFUSED), "Slurm takes no such job: sbatch: error: invalid partition; mend"),
        (RuntimeError('Could not detect "srun", are you indeed on a slurm cluster?'), "hydra/launcher=submitit"),
    ],
)
def test_what_became_of_a_job_is_one_line(error: RuntimeError, said: str) -> None:
    with pytest.raises(Mistake) as told, jobs_told():
        raise error

    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("error", [RuntimeError("a bug"), FailedJobError("Job failed with trace: KeyError")])
def test_a_bug_is_left_as_it_is(error: RuntimeError) -> None:
    with pytest.raises(RuntimeError) as told, jobs_told():
        raise error

    assert told.value is error


def test_a_machine_without_slurm_is_told_so(
    recretrain: Any, engine: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    result = recretrain("run", "-m", "seed=0,1", "hydra/launcher=slurm")

    assert result.code == 1
    assert result.err.startswith("recretrain: hydra/launcher=slurm, but this machine is not of a Slurm cluster")
    assert len(result.err.splitlines()) == 1


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for Slurm's command, which notes what it is asked."""

    def ending_with(code: int) -> Path:
        program = tmp_path / "scontrol"
        program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho "Job is held" >&2\nexit {code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("SLURM_JOB_ID", "77")
        return tmp_path / "asked"

    return ending_with


def test_a_job_whose_time_is_up_queues_again(scontrol: Any, capsys: pytest.CaptureFixture[str]) -> None:
    asked = scontrol(0)

    def command() -> None:
        raise Interruption(signal.SIGUSR1)

    assert ended(command) == 128 + signal.SIGUSR1
    assert asked.read_text() == "requeue 77\n"
    said = "stopped by SIGUSR1; the same command goes on where it stopped; Slurm job 77 is in the queue again"
    assert capsys.readouterr().err == f"recretrain: {said}\n"


def test_a_job_that_slurm_does_not_take_again_says_so(scontrol: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    scontrol(1)
    assert queued_again(Interruption(signal.SIGUSR1)) == "Slurm does not take job 77 again (Job is held)"

    monkeypatch.setenv("PATH", "/nowhere")
    assert "Slurm does not take job 77 again ([Errno 2]" in str(queued_again(Interruption(signal.SIGUSR1)))


def test_nothing_queues_again_that_was_cancelled_or_is_no_job(scontrol: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = scontrol(0)

    assert queued_again(Interruption(signal.SIGTERM)) is None
    monkeypatch.delenv("SLURM_JOB_ID")
    assert queued_again(Interruption(signal.SIGUSR1)) is None
    assert not asked.exists()


def sweep(place: Path) -> subprocess.Popen[str]:
    """A sweep of one run by submitit on this machine, begun."""
    words = runs.words("sml", place, "method.transfer.epochs=20", "seed=0", "hydra/launcher=submitit")
    place.mkdir()
    command = [sys.executable, "-m", "recretrain", "run", "-m", *words]
    return subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stopped(place: Path, begun: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    """What the sweep says, whose job gets a signal after its first task."""
    until = time.monotonic() + 240
    while not list(place.glob("out/*/*/*/tasks/0")) and begun.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    (job,) = (int(file.parent.name) for file in Path("/proc").glob("[0-9]*/cmdline") if _is_job(file, place))
    os.kill(job, number)
    return begun.communicate(timeout=240)


def _is_job(cmdline: Path, place: Path) -> bool:
    try:
        return b"submitit.core._submit" in cmdline.read_bytes() and str(place).encode() in cmdline.read_bytes()
    except OSError:
        return False


in_proc = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="the job is found through /proc")


@pytest.mark.slow
@in_proc
def test_a_preempted_job_goes_on_by_itself_and_gives_the_same(tmp_path: Path) -> None:
    whole, preempted = tmp_path / "whole", tmp_path / "preempted"
    assert sweep(whole).wait(240) == 0

    begun = sweep(preempted)
    out, err = stopped(preempted, begun, signal.SIGUSR2)

    assert begun.returncode == 0, err
    assert "sml" in out
    assert runs.differences(runs.kept(preempted), runs.kept(whole)) == []
    (card,) = preempted.glob("out/*/*/*/run.json")
    first, second = (process["tasks"] for process in json.loads(card.read_text())["processes"])
    assert [first[0], second[0] - 1, second[1]] == [0, first[1], 3]


@pytest.mark.slow
@in_proc
def test_a_lost_job_is_told_of_in_one_line(tmp_path: Path) -> None:
    begun = sweep(tmp_path / "lost")

    _, err = stopped(tmp_path / "lost", begun, signal.SIGKILL)

    assert begun.returncode == 1
    (line,) = err.splitlines()
    assert "of the sweep ended without a result (FINISHED); the other jobs go on, and the same command does" in line
    assert not list(tmp_path.glob("lost/out/.sweep-*"))
