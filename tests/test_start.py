"""docs/start.md, followed word by word in an empty folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from recretrain.commands.cli import main
from recretrain.configuration.compose import compose, expand

PAGE = (Path(__file__).parents[1] / "docs/start.md").read_text()
SECTIONS = {text.partition("\n")[0]: text for text in PAGE.split("\n## ")[1:]}
SHOP, ARENA, SERVE = (SECTIONS[name] for name in ("Your own table", "Which method?", "Serve"))
QUIET = {  # of each verb that learns: one thread, no bar
    "run": "trainer.progress=false trainer.threads=1",
    "arena": "trainer.threads=1",
}


def commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def follow(text: str) -> None:
    """Do the commands of a section: those of `recretrain` in this process, which has torch already."""
    for program, *words in commands(text):
        if program != "recretrain":
            subprocess.run([sys.executable, *words], check=True)
            continue
        found = [name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]
        assert main([*found, *QUIET.get(words[0], "").split()]) == 0, words


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page's folder, the current one, with its table."""
    folder = tmp_path_factory.mktemp("shop")
    (program,) = re.findall(r"^```python\n(# events\.py\n.*?)^```", SHOP, re.DOTALL | re.MULTILINE)
    (folder / "events.py").write_text(program)
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("RECRETRAIN_DATA", "RECRETRAIN_CACHE", "RECRETRAIN_TRACEBACK", "HYDRA_FULL_ERROR"):
            patch.delenv(variable, raising=False)
        patch.chdir(folder)
        yield folder


@pytest.mark.slow
def test_the_page_is_followed_from_a_table_to_recommendations(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follow(SHOP)

    shown = capsys.readouterr().out
    assert "16800 interactions of 300 users with 659 items in 14 periods" in shown
    assert "shop: tested periods 10-13, 1 + 99 candidates, 4,800 questions" in shown
    assert re.search(r"^popularity +1 +0\.0650 +0\.1321 +0\.2717 ", shown, re.MULTILINE), "as the page shows it"
    assert "question by question" in shown

    follow(SERVE)

    top = pd.read_csv("top.csv")
    assert list(top.columns) == ["user", "rank", "item", "score"]
    assert top.groupby("user")["rank"].agg(list).map(lambda ranks: ranks == [*range(1, 11)]).all()
    assert {"weights.safetensors", "README.md"} <= {*os.listdir("exported")}


@pytest.mark.slow
def test_the_arena_of_the_page_comes_to_a_verdict(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    follow("```sh\npython events.py\n```")
    follow(ARENA)

    shown = capsys.readouterr().out
    assert re.search(r"^popularity +0\.3009 ", shown, re.MULTILINE), "as the page shows it"
    assert "fine_tune_bpr has the highest recall@20" in shown
    assert [*Path("outputs/arena").glob("*/page.html")]


def test_the_demo_is_the_one_of_make_and_composes() -> None:
    ((_, _, *words),) = commands(SECTIONS["Watch it once"])
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    (demo,) = re.findall(r"^DEMO := (.+)$", makefile, re.MULTILINE)

    overrides = [word for word in words if word != "-m"]
    classes = [compose(job)[0].method._target_.rpartition(".")[2] for job in expand(overrides)]
    assert classes == ["Retrain", "Retrain", "SML"]
    assert {*overrides} <= {*demo.split()}


def test_what_is_reported_and_served_is_what_was_run() -> None:
    runs = [words for _, *words in commands(SHOP) if words[0] == "run"]
    chosen = dict(word.split("=", 1) for word in runs[0] if "=" in word)
    (recommend, export) = (words for _, *words in commands(SERVE))

    for words in (recommend, export):
        _, name, method, _ = words[1].split("/")
        assert name == chosen["data.name"]
        assert method in chosen["method"].split(",")
    assert {f"{key}={value}" for key, value in chosen.items() if key != "method"} <= {*commands(ARENA)[0]}
