"""A sweep that is killed takes its workers along, and its folder goes at the next start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from recretrain.commands import sweeps
from tests.reliability import runs


def test_folders_of_killed_sweeps_go_and_those_of_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atexit.register", lambda *_: None)
    monkeypatch.delenv("RECRETRAIN_SWEEP", raising=False)
    killed, going = tmp_path / ".sweep-1", tmp_path / ".sweep-2"
    for folder in (killed, going):
        (folder / "submitit").mkdir(parents=True)

    with FileLock(going / "sweep.lock"):
        sweeps.begin(tmp_path / ".sweep-3")

    assert sorted(path.name for path in tmp_path.iterdir()) == [".sweep-2", ".sweep-3"]


def test_a_process_that_is_no_worker_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECRETRAIN_SWEEP", "1")
    monkeypatch.setattr("threading.Thread", lambda **_: pytest.fail("watches"))

    sweeps.end_with_owner()


def of(mark: str) -> list[int]:
    """The processes whose environment has the mark."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the workers are found through /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_workers_end_with_the_process_that_began_the_sweep(number: signal.Signals, tmp_path: Path) -> None:
    mark = f"MARK_OF_A_TEST={tmp_path}"
    long = ["method.loops=40", "method.transfer.epochs=50", "seed=0,1,2,3", "hydra.launcher.n_jobs=2"]
    program = "from recretrain.commands.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "run", "-m", *runs.words("sml", tmp_path, *long)]
    with (tmp_path / "log").open("w") as log:
        sweep = subprocess.Popen(
            command, env={**os.environ, "MARK_OF_A_TEST": str(tmp_path)}, stdout=log, stderr=log, cwd=tmp_path
        )
    waited = time.monotonic() + 300
    while not list(tmp_path.glob("out/*/*/*/tasks/0")) and sweep.poll() is None and time.monotonic() < waited:
        time.sleep(0.1)
    assert len(of(mark)) > 2, (tmp_path / "log").read_text()  # its workers too

    sweep.send_signal(number)

    assert sweep.wait(60) == (-9 if number == signal.SIGKILL else 143)
    while of(mark) and time.monotonic() < waited:
        time.sleep(0.1)
    assert of(mark) == []
    assert len(list(tmp_path.glob("out/.sweep-*"))) == (1 if number == signal.SIGKILL else 0)
    again = ["hydra.launcher.n_jobs=1", "seed=0,1", "method.loops=2"]
    short = [word for word in runs.words("sml", tmp_path) if not word.startswith("method.loops")]
    subprocess.run([*command[:5], *short, *again], check=True, cwd=tmp_path, capture_output=True)
    assert not list(tmp_path.glob("out/.sweep-*"))
