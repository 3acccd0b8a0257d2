"""Help comes at once and is read from conf/; completion knows verbs, groups and keys."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from recretrain import __version__
from recretrain.configuration import options as listing
from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.help import comments, written
from recretrain.engine.machine import cores

HELPS = [
    ["--help"],
    ["--version"],
    ["list"],
    ["report", "--help"],
    ["recommend", "--help"],
    ["export", "--help"],
    ["data", "prepare", "--help"],
]
COMPOSED = [["run", "--help"], ["run", "method=melu", "data=movielens_timed", "--help"]]
HEAVY = ("torch", "pytorch_lightning", "matplotlib", "numpy", "pandas", "duckdb")
CONFIGURATION = ("hydra", "omegaconf", "yaml")


@pytest.mark.parametrize("arguments", HELPS, ids=" ".join)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert imported(arguments, HEAVY + CONFIGURATION) == []


@pytest.mark.parametrize("arguments", COMPOSED, ids=" ".join)
def test_help_of_run_only_composes(arguments: list[str]) -> None:
    assert imported(arguments, HEAVY) == []


def test_help_of_run_names_every_group_and_option(recretrain: Any) -> None:
    lines = recretrain("run", "--help").out.splitlines()

    for group in ("schedule", "backbone", "eval", "trainer", "logger", "method", "data", "experiment"):
        (line,) = [line for line in lines if line.startswith(f"  {group}=")]
        assert set(listing.options(conf_dir(), group)) <= set(line.replace(",", "").split())


def test_help_of_run_shows_every_key_of_what_is_chosen(recretrain: Any) -> None:
    """Also nested ones, and those of groups that the data set or the method chooses."""
    lines = recretrain("run", "method=melu", "data=movielens_timed", "seed=4", "--help").out.splitlines()

    config = OmegaConf.to_container(compose(["method=melu", "data=movielens_timed", "seed=4"])[0], resolve=True)
    shown = [line.split()[0].partition("=")[0] for line in lines if re.match(r"  [\w.]+=", line)]
    keys = [key for key, _ in _leaves(config)]
    assert len(keys) > 40
    assert {"backbone.hidden", "data.generator.users", "data.films.merge_ids", "paths.cache", "seed"} <= set(keys)
    assert [key for key in keys if shown.count(key) != 1] == []
    assert "  seed=4" in lines


def _leaves(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict) and all(isinstance(inner, str) for inner in value):
            yield from _leaves(value, f"{path}{key}.")
        elif key != "_target_":
            yield f"{path}{key}", value


def test_help_of_run_shows_values_and_comments_as_chosen(recretrain: Any) -> None:
    shown = recretrain("run", "method=sml", "data=diginetica", "method.loops=3", "--help").out

    assert "  method=sml  " in shown
    assert "  schedule=weeks_from_end  " in shown
    assert "  cut@data.cut=weeks_from_end  " in shown
    assert re.search(r"^  method\.loops=3 +rounds of \(fit fresh, teach transfer\) per period", shown, re.MULTILINE)
    assert re.search(r"^  method\.pretraining\.learning_rate=0\.01 +of Adam$", shown, re.MULTILINE)
    assert re.search(r"^  data\.cut\.days=7", shown, re.MULTILINE)
    assert "  data.path=DIGINETICA  " in shown


def test_help_of_a_sweep_is_that_of_its_first_run(recretrain: Any) -> None:
    shown = recretrain("run", "-m", "method=full_retrain,sml", "seed=5,6", "--help").out

    assert "\n  method=full_retrain  " in shown
    assert "\n  seed=5\n" in shown
    assert "method.loops" not in shown


def test_help_of_run_explains_a_mistake(recretrain: Any) -> None:
    result = recretrain("run", "method=smll", "--help")

    assert result.code == 1
    assert result.err.startswith("recretrain: there is no method 'smll'; did you mean sml?")


def test_a_file_on_the_search_path_is_listed_with_its_keys(recretrain: Any, tmp_path: Path) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "own.yaml").write_text("# Own\n_target_: own.Method\nwidth: 3  # of the own thing\n")

    shown = recretrain("run", f"hydra.searchpath=[file://{tmp_path}]", "method=own", "--help").out

    assert re.search(r"^  method=own +.*\bown\b.*\bsml\b", shown, re.MULTILINE)
    assert re.search(r"^  method\.width=3 +of the own thing$", shown, re.MULTILINE)


def test_comments_are_read_beside_their_keys() -> None:
    text = """\
        # The head of the file: no comment of a key
        a: 1  # first
        b:    # a block
          c: "x # y"  # third, and it goes
                      # on here
          # a note on what follows
          d: [1, 2]
        e: {f: 1}   ## flow
        - item: 5  # of a list
        g: 1#2
        """

    assert list(comments(textwrap.dedent(text).splitlines())) == [
        ("a", "first"),
        ("b", "a block"),
        ("b.c", "third, and it goes on here"),
        ("e", "flow"),
    ]


def test_values_are_shown_as_one_would_write_them() -> None:
    assert written(["a", 1, None, True]) == "[a, 1, null, true]"
    assert written({860: 811}) == "{860: 811}"
    assert written("two words") == '"two words"'
    assert written("x" * 70) == "x" * 60 + "..."


@pytest.mark.parametrize(("kind", "group"), listing.GROUPS.items())
def test_list_names_every_option_with_its_meaning(recretrain: Any, kind: str, group: str) -> None:
    shown = recretrain("list", kind).out

    files = sorted((conf_dir() / group).glob("*.yaml"))
    assert files
    assert [line.split()[0] for line in shown.splitlines()[1:]] == [file.stem for file in files]


def test_every_option_says_what_it_is() -> None:
    files = [file for file in conf_dir().rglob("*.yaml") if file.parent.name != "conf"]

    assert files
    assert [str(file) for file in files if not listing.headline(file)] == []


def test_version(recretrain: Any) -> None:
    assert recretrain("--version").out == f"recretrain {__version__}\n"


def test_doctor_names_versions_machine_and_data(recretrain: Any) -> None:
    shown = recretrain("doctor").out

    for word in ("recretrain", "torch", "python", "devices", "threads", "free memory", "paths.outputs", "data=yelp"):
        assert f"\n{word} " in f"\n{shown}"


@pytest.mark.parametrize(("policy", "said"), [(None, "they sleep"), ("PASSIVE", "they sleep"), ("ACTIVE", "they spin")])
def test_doctor_says_how_many_threads_a_run_takes_and_how_they_wait(
    policy: str | None, said: str, recretrain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)

    (line,) = (line for line in recretrain("doctor").out.splitlines() if line.startswith("threads"))

    assert f"{cores()} for a run alone" in line
    assert said in line


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("recretrain ", "run"),
        ("recretrain rep", "reproduce"),
        ("recretrain data ", "prepare"),
        ("recretrain list ", "methods"),
        ("recretrain ev", "evidence"),
        ("recretrain rec", "recommend"),
        ("recretrain recommend outputs --ex", "--exclude-seen"),
        ("recretrain evidence ", "--top"),
        ("recretrain report ", "--compare"),
        ("recretrain report outputs --format ", "github"),
        ("recretrain reproduce ", "sml_table1"),
        ("recretrain reproduce ", "--seeds"),
        ("recretrain run method=", "method=fine_tune"),
        ("recretrain run method=sml method.lo", "method.loops="),
        ("recretrain data prepare data=yelp2", "data=yelp2019"),
    ],
)
def test_completion(recretrain: Any, monkeypatch: pytest.MonkeyPatch, line: str, word: str) -> None:
    monkeypatch.setenv("COMP_LINE", line)

    assert word in recretrain("-sc", "query=bash").out.split()


def test_completion_knows_every_verb(recretrain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "recretrain ")
    verbs = re.findall(r"^    (\w+)\b", recretrain("--help").out, re.MULTILINE)

    assert len(verbs) >= 7
    assert set(verbs) <= set(recretrain("-sc", "query=bash").out.split())


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_completion_can_be_installed(recretrain: Any, shell: str) -> None:
    assert "recretrain" in recretrain("-sc", f"install={shell}").out


def imported(arguments: Sequence[str], modules: Sequence[str]) -> list[str]:
    """Which of the modules the program has imported when it is done with the arguments."""
    program = f"import sys; from recretrain.commands.cli import main; assert main({list(arguments)!r}) == 0"
    report = f"print('imported:', *[name for name in {tuple(modules)!r} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", f"{program}; {report}"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]
