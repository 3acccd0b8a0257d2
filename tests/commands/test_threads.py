"""Every process that loads torch has been told before that threads which wait are to sleep, however it was begun."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability import runs

HOOK = """
import os, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            with open(os.environ["SEEN"], "a") as seen:
                print(os.getpid(), os.environ.get("OMP_WAIT_POLICY"), file=seen)
sys.meta_path.insert(0, Finder)
"""
API = "import sys, recretrain; recretrain.run(*sys.argv[1:])"
LOAD = "import sys, recretrain; recretrain.load(sys.argv[1])"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "processes"),
    [
        (["-m", "recretrain", "run"], 1),
        (["-c", API], 1),
        (["-m", "recretrain", "run", "-m", "seed=0,1", "hydra.launcher.n_jobs=2"], 2),
        (["-m", "recretrain", "run", "trainer.devices=2"], 2),
    ],
    ids=["command", "python", "sweep", "devices"],
)
def test_a_process_is_told_before_it_loads_torch(command: list[str], processes: int, tmp_path: Path) -> None:
    told = seen([*command, *runs.words("sml", tmp_path)], tmp_path)

    assert set(told.values()) == {"PASSIVE"}
    assert len(told) >= processes


def test_a_run_that_is_opened_is_told_too(tmp_path: Path) -> None:
    assert set(seen(["-c", LOAD, str(tmp_path)], tmp_path, fails=True).values()) == {"PASSIVE"}


def seen(command: list[str], place: Path, *, fails: bool = False) -> dict[str, str]:
    """The policy that each process had when it looked for torch, by its id."""
    (place / "hook").mkdir()
    (place / "hook" / "sitecustomize.py").write_text(HOOK)
    env = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    path = os.pathsep.join([str(place / "hook"), *filter(None, [os.environ.get("PYTHONPATH")])])
    env |= {"PYTHONPATH": path, "SEEN": str(place / "seen.txt")}
    done = subprocess.run([sys.executable, *command], cwd=place, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return dict(line.split() for line in (place / "seen.txt").read_text().splitlines())
