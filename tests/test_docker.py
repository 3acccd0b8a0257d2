"""The Dockerfile names what there is, takes what it needs and no more, and serves whoever reads docs/start.md."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]
LINES = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
START = (ROOT / "docs/start.md").read_text()


def told(instruction: str) -> list[str]:
    """What the Dockerfile says by an instruction, line by line."""
    return re.findall(rf"^{instruction} (.+)$", LINES, re.MULTILINE)


def copied() -> list[str]:
    """The files and folders of the repository that go into an image."""
    return [name for words in told("COPY") if "--from" not in words for name in words.split()[:-1]]


def test_what_is_copied_is_there_and_all_that_is_let_in() -> None:
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    assert [name for name in copied() if not (ROOT / name).exists()] == []
    assert sorted(copied()) == sorted(let_in)


def test_python_is_one_that_the_package_supports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (python,) = re.findall(r"^ARG PYTHON=(.+)$", LINES, re.MULTILINE)

    assert SpecifierSet(project["requires-python"]).contains(f"{python}.0")
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def test_every_stage_comes_from_one_before_or_from_python() -> None:
    known: set[str] = set()
    for line in told("FROM"):
        base, _, name = line.partition(" AS ")
        assert base == "python:${PYTHON}-slim" or base in known or base == "torch-${TORCH}"
        known.add(name)

    asked = re.findall(r"--build-arg TORCH=(\w+)", START)
    assert asked
    assert {f"torch-{kind}" for kind in [*asked, *re.findall(r"ARG TORCH=(\w+)", LINES)]} <= known


def test_the_settings_are_those_that_the_program_reads() -> None:
    values = dict(re.findall(r"(RECRETRAIN_\w+)=(\S+)", LINES))
    read = set(re.findall(r"\$\{oc\.env:(\w+)", (ROOT / "conf/config.yaml").read_text()))

    assert values.keys() == read
    (volumes,) = told("VOLUME")
    assert all(f'"/{place.split("/")[1]}"' in volumes for place in values.values())
    assert all(f":{volume}" in START for volume in re.findall(r'"(/\w+)"', volumes))


def test_the_program_is_not_run_by_root() -> None:
    (made,) = re.findall(r"useradd --uid (\d+)", LINES)

    assert told("USER") == [made]
    assert f"runs as user {made}" in START


@pytest.mark.slow
def test_what_is_copied_is_enough_for_the_wheel(tmp_path: Path) -> None:
    for name in copied():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert "recretrain/conf/config.yaml" in zipfile.ZipFile(wheel).namelist()
