"""The commands of the README, and those that docs/start.md lists, do what they say."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from recretrain.commands.cli import main
from recretrain.configuration.compose import compose, expand

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LISTED = (ROOT / "docs/start.md").read_text().partition("## More commands\n")[2].partition("\n## ")[0]
COMMANDS = [
    shlex.split(line, comments=True)[1:]
    for block in re.findall(r"```sh\n(.*?)```", README + LISTED, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("recretrain ")
]
RUNS = [words[1:] for words in COMMANDS if words[0] == "run" and "--help" not in words]
QUICK = [words for words in COMMANDS if words[0] in ("data", "list", "doctor") or {"--help", "--dry-run"} & {*words}]


def test_commands_were_read() -> None:
    assert len(RUNS) >= 6
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
    linked = re.findall(r"\]\(([^)#]+)", README)

    assert linked
    assert [name for name in linked if not (ROOT / name).exists()] == []


def test_the_table_of_commands_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])

    verbs = set(re.findall(r"^    ([a-z]+)(?: |$)", capsys.readouterr().out, re.MULTILINE))
    assert len(verbs) >= 7
    assert verbs == set(re.findall(r"^\| `recretrain (\w+)` \|", README, re.MULTILINE))


def test_the_table_of_documents_is_whole() -> None:
    written = {*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), ROOT / "docs/methods/README.md"} - {ROOT / "README.md"}
    linked = {(ROOT / name).resolve() for name in re.findall(r"\]\(([^)#]+)", README.partition("## Documents")[2])}

    assert len(written) >= 15
    assert written - linked == set()


def test_what_is_recommended_and_judged_is_what_was_run() -> None:
    """Each command of the README takes the folder and the data of the first."""
    run, arena, recommend = (next(one for one in COMMANDS if one[0] == verb) for verb in ("run", "arena", "recommend"))
    chosen = dict(word.split("=", 1) for word in run[1:])

    assert recommend[1] == f"outputs/{chosen['data.name']}/{chosen['method']}/*"
    assert {f"{key}={chosen[key]}" for key in ("data", "data.path", "data.name")} <= set(arena)
