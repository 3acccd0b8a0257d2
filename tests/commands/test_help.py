"""Help comes at once and is read from conf/; completion knows verbs, groups and keys."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recretrain import __version__
from recretrain.configuration import options as listing
from recretrain.configuration.compose import conf_dir

HELPS = [["--help"], ["--version"], ["list"], ["run", "--help"], ["report", "--help"], ["data", "prepare", "--help"]]
HEAVY = ("torch", "hydra", "omegaconf", "numpy", "pandas", "duckdb", "yaml")


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    asked = f"import sys; from recretrain.commands.cli import main; code = main({arguments!r})"
    told = f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules], code)"

    done = subprocess.run([sys.executable, "-c", f"{asked}; {told}"], capture_output=True, text=True)

    assert done.stdout.splitlines()[-1] == "heavy: [] 0", done.stderr


def test_help_of_run_names_every_group_option_and_key(recretrain: Any) -> None:
    shown = recretrain("run", "--help").out

    for group in listing.defaults(conf_dir()):
        assert f"  {group}=" in shown
        assert all(option in shown for option in listing.options(conf_dir(), group))
    assert "  method.loops=10 " in shown
    assert "rounds of (fit fresh, teach transfer) per period" in shown


def test_help_of_run_shows_the_keys_of_the_method_that_is_asked_about(recretrain: Any) -> None:
    shown = recretrain("run", "method=full_retrain", "--help").out

    assert "method.start=warm" in shown
    assert "method.loops" not in shown


def test_keys_of_a_file_that_builds_on_another_are_both(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("# Base\n_target_: x.Y\na: 1  # first\nb: [1, 2]  # second\n")
    (tmp_path / "more.yaml").write_text("defaults:\n  - base\n  - _self_\nb: 3\n")

    assert listing.keys(tmp_path / "more.yaml") == [listing.Key("a", "1", "first"), listing.Key("b", "3", "")]
    assert listing.headline(tmp_path / "base.yaml") == "Base"


@pytest.mark.parametrize(("kind", "group"), listing.GROUPS.items())
def test_list_names_every_option_with_its_meaning(recretrain: Any, kind: str, group: str) -> None:
    shown = recretrain("list", kind).out

    files = sorted((conf_dir() / group).glob("*.yaml"))
    assert files
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [file.stem for file in files]


def test_every_option_says_what_it_is() -> None:
    groups = [*listing.defaults(conf_dir()), "experiment", "table"]
    files = [file for group in groups for file in (conf_dir() / group).glob("*.yaml")]

    assert files
    assert [str(file) for file in files if not listing.headline(file)] == []


def test_version(recretrain: Any) -> None:
    assert recretrain("--version").out == f"recretrain {__version__}\n"


def test_doctor_names_versions_machine_and_data(recretrain: Any) -> None:
    shown = recretrain("doctor").out

    for word in ("recretrain", "torch", "python", "devices", "threads", "free memory", "paths.outputs", "data=yelp"):
        assert f"\n{word} " in f"\n{shown}"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("recretrain ", "run"),
        ("recretrain rep", "reproduce"),
        ("recretrain data ", "prepare"),
        ("recretrain list ", "methods"),
        ("recretrain reproduce ", "sml_table1"),
        ("recretrain run method=", "method=fine_tune"),
        ("recretrain run method=sml method.lo", "method.loops="),
        ("recretrain data prepare data=yelp2", "data=yelp2019"),
    ],
)
def test_completion(recretrain: Any, monkeypatch: pytest.MonkeyPatch, line: str, word: str) -> None:
    monkeypatch.setenv("COMP_LINE", line)

    assert word in recretrain("-sc", "query=bash").out.split()


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completion_can_be_installed(recretrain: Any, shell: str) -> None:
    assert "recretrain" in recretrain("-sc", f"install={shell}").out
