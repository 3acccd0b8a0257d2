"""The wheel brings conf/ along: built, installed into a clean environment, it runs from another folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TINY = [
    "method=fine_tune",
    "data=yelp",
    "data.source=synthetic",
    "data.generator.reviews=1500",
    "data.generator.users=100",
    "data.generator.items=100",
    "data.filters.k_core=0",
    "data.cut.periods=6",
    "schedule.start=3",
    "schedule.first_test=4",
    "schedule.choosing=1",
    "eval.questions.candidates=20",
    "method.pretraining.epochs=1",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script of a new environment with the wheel and, besides it, only what this one has installed."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    _run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages), str(wheel)], folder
    )
    # behind the wheel on the path, and without the .pth files that lead to this checkout
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return packages


def test_the_wheel_holds_the_package_and_its_conf(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    expected = {f"recretrain/{file.relative_to(ROOT)}" for file in (ROOT / "conf").rglob("*.yaml")}
    assert len(expected) > 20
    assert expected <= names
    assert "recretrain/py.typed" in names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"recretrain"}


def test_the_description_leads_into_the_repository(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (card,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        description = archive.read(card).decode().partition("\n\n")[2]

    begin = "https://github.com/recretrain/recretrain/blob/main/"
    linked = re.findall(r"(?<!!)\[[^\]]*\]\(([^)]+)\)", description)
    pictures = re.findall(
        r"!\[[^\]]*\]\(https://raw\.githubusercontent\.com/recretrain/recretrain/main/([^)]+)\)", description
    )
    assert len(linked) > 10
    assert [link for link in linked if not link.startswith(begin)] == []
    assert [link for link in linked if not (ROOT / link.removeprefix(begin).partition("#")[0]).exists()] == []
    assert pictures
    assert all((ROOT / picture).is_file() for picture in pictures)


def test_the_installed_program_reads_its_own_conf(installed: Path, tmp_path: Path) -> None:
    shown = _recretrain(installed, tmp_path, "list", "methods")
    where = _python(installed, tmp_path, "import recretrain.configuration.compose as c; print(c.conf_dir())")

    assert "\n  fine_tune " in shown
    assert where.strip() == str(installed / "recretrain" / "conf")


def test_the_installed_program_runs(installed: Path, tmp_path: Path) -> None:
    shown = _recretrain(installed, tmp_path, "run", *TINY)

    assert "fine_tune" in shown
    assert "synthetic" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "outputs"]


def _recretrain(installed: Path, folder: Path, *arguments: str) -> str:
    program = "import sys; from recretrain.commands.cli import main; sys.exit(main())"
    return _python(installed, folder, program, *arguments)


def _python(installed: Path, folder: Path, program: str, *arguments: str) -> str:
    python = installed.parents[2] / "bin" / "python"
    return _run([str(python), "-c", program, *arguments], folder)


def _run(command: list[str], folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("RECRETRAIN_", "PYTHON"))}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout
