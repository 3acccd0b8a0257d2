"""The README's commands do what it says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recretrain.commands.cli import main
from recretrain.configuration.compose import compose, expand

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("recretrain ")
]
RUNS = [words[1:] for words in COMMANDS if words[0] == "run" and "--help" not in words]
QUICK = [words for words in COMMANDS if words[0] in ("data", "list", "doctor") or {"--help", "--dry-run"} & {*words}]


def test_the_readme_was_read() -> None:
    assert len(RUNS) >= 2
    assert len(QUICK) >= 5


@pytest.mark.parametrize("words", QUICK, ids=" ".join)
def test_a_quick_command_works(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main(words)

    assert code == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("words", RUNS, ids=" ".join)
def test_a_run_composes(words: list[str]) -> None:
    overrides = [word for word in words if not word.startswith("-")]

    for job in expand(overrides):
        assert compose(job)[0].method._target_


def test_report_shows_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (command,) = [words for words in COMMANDS if words[0] == "report"]
    (tmp_path / "outputs").mkdir()
    monkeypatch.chdir(tmp_path)

    assert main(command) == 0


def test_targets_named_in_the_readme_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    named = re.findall(r"^    make (\S+)", README, re.MULTILINE)

    assert {"demo", "test"} <= set(named)
    assert all(re.search(rf"^{target}:.*## ", makefile, re.MULTILINE) for target in named)


def test_files_named_in_the_readme_exist() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", README)

    assert linked
    assert [name for name in linked if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("group", ["method", "data"])
def test_the_first_screen_names_all_that_ships(group: str) -> None:
    screen = README.partition("## Start")[0]
    named = set(re.findall(r"`(\w+)`", screen))
    shipped = {file.stem for file in (ROOT / "conf" / group).glob("*.yaml")}

    assert shipped
    assert shipped - named == set()


def test_the_first_screen_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])

    verbs = set(re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    assert len(verbs) >= 7
    assert verbs == set(re.findall(r"^\| `recretrain (\w+)` \|", README, re.MULTILINE))
