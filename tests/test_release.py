"""What a release says of itself agrees, and its files hold what a stranger needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from recretrain import __version__

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_changelog_begins_with_this_version() -> None:
    newest, *_ = re.findall(r"^## \[(.+)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", CHANGELOG, re.MULTILINE)

    assert newest == __version__


def test_the_newest_notes_begin_as_a_user_would_read_them() -> None:
    notes = CHANGELOG.split("\n## ")[1]
    head = notes.partition("\n### ")[0]

    assert re.findall(r"^\*\*(.+?)\.\*\*", head, re.MULTILINE) == ["What is new", "What breaks", "How to move on"]
    assert 1 <= len(re.findall(r"^- ", head, re.MULTILINE)) <= 5


def test_the_classifiers_name_each_python_that_is_allowed() -> None:
    named = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)}
    allowed = SpecifierSet(PROJECT["requires-python"])

    assert named == {f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}.0")}
    assert len(named) >= 3


def test_the_addresses_of_the_project_are_of_one_repository() -> None:
    assert {"Repository", "Documentation", "Changelog", "Issues"} <= PROJECT["urls"].keys()
    assert all(url.startswith(PROJECT["urls"]["Repository"]) for url in PROJECT["urls"].values())


@pytest.mark.slow
def test_the_source_distribution_holds_what_its_tests_look_at(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (packed,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    looked_at = {
        name for test in ROOT.glob("tests/**/*.py") for name in re.findall(r'ROOT / "([^"]+)"', test.read_text())
    }
    files = {str(file.relative_to(ROOT)) for name in looked_at for file in below(ROOT / name)}
    assert {"Makefile", "Dockerfile", "mkdocs.yml", "docs/start.md", "conf/config.yaml"} <= files
    assert sorted(files - names) == []


def below(path: Path) -> list[Path]:
    """The file, or all that a folder holds but for what Python and tools leave there."""
    if path.is_file():
        return [path]
    return [file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
