"""A short command ends at once, after what was registered for its end; one that loaded torch ends in order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import atexit, sys
{before}
from recretrain.commands.cli import program
atexit.register(print, "registered")
code = program()
print("taken apart")
sys.exit(code)
"""


@pytest.mark.parametrize(("words", "code"), [(["list", "methods"], 0), (["report", "nowhere"], 1), (["lst"], 2)])
def test_a_short_command_ends_at_once_with_its_code(words: list[str], code: int, tmp_path: Path) -> None:
    done = ended(words, tmp_path)

    assert done.returncode == code
    assert done.stdout.endswith("registered\n")
    assert "taken apart" not in done.stdout
    assert ("popularity" in done.stdout) == (code == 0)


@pytest.mark.parametrize("module", ["torch", "joblib", "submitit"])
def test_what_others_have_begun_is_ended_in_order(module: str, tmp_path: Path) -> None:
    done = ended(["list", "methods"], tmp_path, before=f"sys.modules['{module}'] = sys")

    assert done.stdout.endswith("taken apart\nregistered\n")


def ended(words: list[str], place: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE.format(before=before), *words]
    env = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    return subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
