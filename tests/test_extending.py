"""docs/extending.md, followed word by word in an empty folder outside the package."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recretrain.commands.cli import main
from recretrain.testing import CHECKS, Case, Check, case, cases
from recretrain.testing.contract import learns_something

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/extending.md").read_text()
SECTIONS = {text.partition("\n")[0]: text for text in PAGE.split("\n## ")[1:]}
SEARCH = "hydra.searchpath=[file://conf]"
KINDS = {  # of things to add: the group of its values
    "A method": "method",
    "A learner": "learner",
    "A backbone": "backbone",
    "A source of data": "data",
    "Questions": "eval",
    "A schedule": "schedule",
    "A metric": "eval",
}


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def files(text: str) -> dict[str, str]:
    """The files that a part of the page shows, by the path in each one's first comments."""
    shown = [*blocks(text, "python"), *blocks(text, "yaml")]
    return {re.findall(r"^# ([\w/]+\.\w+)$", block, re.MULTILINE)[0]: block for block in shown}


def commands(text: str) -> list[str]:
    return [line for block in blocks(text, "sh") for line in block.splitlines()]


def before(section: str) -> list[str]:
    """The commands that make a section's data."""
    return [line for line in commands(SECTIONS[section]) if not line.startswith("recretrain ")]


def runs(text: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in commands(text) if line.startswith("recretrain ")]


def written(folder: Path) -> Path:
    """The folder with every file of the page."""
    for name, block in files(PAGE).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(block)
    (folder / "data").mkdir()
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folder, with its data."""
    folder = written(tmp_path_factory.mktemp("mine"))
    own = ("A source of data", "A downstream task on own tables", "Two domains of one's own")
    made = [line for section in own for line in before(section)]
    for line in ["python clicks.py", *made]:
        subprocess.run(line.replace("python", sys.executable), shell=True, check=True, cwd=folder)
    return folder


@pytest.fixture
def mine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same as the current folder, with its modules on the path; Hydra's log handlers go afterwards."""
    for variable in ("RECRETRAIN_DATA", "RECRETRAIN_CACHE", "RECRETRAIN_TRACEBACK", "HYDRA_FULL_ERROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield folder
    root.handlers, root.level = handlers, level
    for module in {Path(name).stem for name in files(PAGE) if name.endswith(".py")} & sys.modules.keys():
        del sys.modules[module]


@pytest.mark.parametrize("section", KINDS)
def test_every_kind_has_a_class_its_values_and_a_command(section: str) -> None:
    shown = files(SECTIONS[section])
    (values,) = [name for name in shown if name.endswith(".yaml")]
    module = next(iter(shown))

    assert values.startswith(f"conf/{KINDS[section]}/")
    assert f"{Path(module).stem}." in shown[values]
    (command,) = runs(SECTIONS[section])
    assert any(re.fullmatch(rf"{KINDS[section]}[@.\w]*={Path(values).stem}", word) for word in command)


def quick(section: str) -> bool:
    """Whether nothing is fitted by gradients."""
    return section not in ("A learner", "A backbone", "More of a method")


@pytest.mark.parametrize(
    "section", [pytest.param(name, marks=() if quick(name) else pytest.mark.slow) for name in SECTIONS]
)
def test_the_command_of_a_section_ends_with_a_table(
    section: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (command,) = runs(SECTIONS[section])

    code = main([*command, "trainer.progress=false", "trainer.threads=1"])

    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "tested periods" in shown.out


OWN = [  # a method of the page, or one that ships with a part of the page
    ("sliding", []),
    ("popularity", ["schedule=delayed"]),
    ("popularity", ["eval=first_times"]),
]
FITTED = [
    ("fine_tune", ["learner@method.learner=bpr", "method.pretraining=null"]),
    ("gru4rec", ["backbone=averages"]),
    ("shifts", ["method.epochs=10"]),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    ("name", "overrides"),
    [*OWN, *(pytest.param(*fitted, marks=pytest.mark.slow) for fitted in FITTED)],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_the_contract_is_kept(name: str, overrides: list[str], check: Check, mine: Path, tmp_path: Path) -> None:
    if check is learns_something and "eval=first_times" in overrides:
        pytest.skip("popular items are those that a user has had: popularity is no better than chance at others")
    check(case(name, SEARCH, *overrides), tmp_path)


def test_a_method_is_checked_under_all_that_it_can_answer(mine: Path) -> None:
    found: list[Case] = cases("sliding", SEARCH)

    assert {str(one) for one in found} >= {
        "sliding-eval:sampled-schedule:next_period",
        "sliding-eval:full-schedule:next_period",
        "sliding-eval:sampled-schedule:own_tests",
    }


def environment() -> dict[str, str]:
    outer = {name: value for name, value in os.environ.items() if not name.startswith("RECRETRAIN_")}
    return {**outer, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.mark.slow
def test_the_page_is_followed_in_a_shell(tmp_path: Path) -> None:
    """Up to the first method and its test, each line in a process of its own; the other commands run above."""
    begin, *later = blocks(SECTIONS["A folder to try things in"] + SECTIONS["A method"], "sh")
    program = [
        "set -eu",
        f'python() {{ "{sys.executable}" "$@"; }}',
        'recretrain() { python -m recretrain "$@" trainer.progress=false; }',
        begin.replace("PYTHONPATH=$PWD", f'PYTHONPATH="$PWD:{ROOT}"'),
        *(f"mkdir -p $(dirname {name}); cat > {name} <<'END'\n{block}END" for name, block in files(PAGE).items()),
        *later,
        "python -m pytest -q -p no:cacheprovider test_mine.py -k sampled-schedule:next_period",
    ]

    done = subprocess.run(
        ["bash", "-c", "\n".join(program)], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "mine/data/clicks.csv").is_file()
    assert re.search(r"^sliding ", done.stdout, re.MULTILINE)
    assert f"{len(CHECKS)} passed" in done.stdout


@pytest.mark.slow
def test_every_block_type_checks(tmp_path: Path) -> None:
    folder = written(tmp_path)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]

    done = subprocess.run(
        [*command, *map(str, sorted(folder.glob("*.py")))], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
