"""docs/growing.md, followed word by word in an empty folder, and what may come between."""

from __future__ import annotations

import logging
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from recretrain.commands.cli import main
from recretrain.configuration.compose import compose
from recretrain.engine import runner
from recretrain.errors import ConfigError
from recretrain.testing.contract import same

PAGE = (Path(__file__).parents[1] / "docs/growing.md").read_text()
PROGRAM = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
BEGIN, GROW, SERVE = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
QUIET = "trainer.progress=false trainer.threads=1 method.pretraining.epochs=2"


def follow(script: str) -> None:
    """Do the lines in the current folder: those of `recretrain` in this process, which has torch already."""
    for line in script.splitlines():
        expanded = os.path.expandvars(line)
        if not line.startswith("recretrain "):
            subprocess.run(expanded.replace("python", sys.executable), shell=True, check=True)
            continue
        found = [sorted(map(str, Path().glob(word))) if "*" in word else [word] for word in shlex.split(expanded)]
        _, *words = [word for some in found for word in some]
        assert main([*words, *(QUIET.split() if words[0] == "run" else [])]) == 0


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    """The folder as the current one, without settings from outside."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("RECRETRAIN_DATA", "RECRETRAIN_TRACEBACK", "HYDRA_FULL_ERROR"):
            patch.delenv(variable, raising=False)
        patch.setenv("RECRETRAIN_CACHE", str(folder / "cache"))
        patch.setenv("PWD", str(folder))
        patch.chdir(folder)
        root = logging.getLogger()
        handlers, level = list(root.handlers), root.level
        yield
        root.handlers, root.level = handlers, level  # Hydra's go


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folder after its first script: five weeks learned."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "weeks.py").write_text(PROGRAM[0])
    with inside(folder):
        follow(BEGIN)
    shutil.copytree(folder, folder.with_name("kept"))
    return folder


@pytest.fixture
def begun(shop: Path) -> Iterator[Path]:
    """The same folder, as it was then; the current one."""
    shutil.rmtree(shop)
    shutil.copytree(shop.with_name("kept"), shop)
    with inside(shop):
        yield shop


def words(folder: Path) -> list[str]:
    """The overrides of the page's run."""
    (line,) = [line for line in BEGIN.splitlines() if line.startswith("recretrain run")]
    places = f"paths.outputs={folder / 'outputs'} paths.cache={folder / 'cache'}"
    return f"{line} {QUIET} {places}".replace("$PWD", str(folder)).split()[2:]


def repeat(folder: Path, *more: str) -> Path:
    """The same command in this process."""
    overrides = [*words(folder), *more]
    config, choices = compose(overrides)
    return runner.run(config, choices=choices, overrides=overrides)


def run_folder(folder: Path, outputs: str = "outputs") -> Path:
    (found,) = (folder / outputs).glob("shop/fine_tune/*")
    return found


def results(run: Path) -> list[object]:
    """All rows, ranks and the last state of a run."""
    tasks = sorted((run / "tasks").iterdir(), key=lambda path: int(path.name))
    found: list[object] = [(task / "rows.csv").read_text() for task in tasks]
    for task in tasks:
        with np.load(task / "ranks.npz") as ranks:
            found.append({name: ranks[name].tolist() for name in ranks.files})
    return [*found, torch.load(tasks[-1] / "state.pt")]


def test_a_sixth_week_is_one_task_and_equals_a_run_that_had_it_from_the_start(begun: Path, capsys):
    before = {file: file.stat().st_mtime_ns for file in run_folder(begun).glob("tasks/*/r*")}

    follow(GROW)

    shown = capsys.readouterr().out
    assert "1 new task, 5 in all" in shown
    assert "tested periods 2-5" in shown
    assert {file: file.stat().st_mtime_ns for file in before} == before, "a finished task was done again"
    unbroken = repeat(begun, f"paths.outputs={begun / 'whole'}")
    assert same(results(run_folder(begun)), results(unbroken))


def test_what_was_advanced_recommends_and_its_exported_embeddings_give_the_same(begun: Path):
    follow(GROW)
    follow(SERVE)

    top = pd.read_csv(begun / "top.csv")
    users, items = (pd.read_parquet(begun / f"exported/{kind}s.parquet") for kind in ("user", "item"))
    assert "u105" in set(users.loc[users["met"], "user"])  # of the sixth week
    users, items = users[users["met"]], items[items["offered"]]
    scores = np.stack(users["embedding"].tolist()) @ np.stack(items["embedding"].tolist()).T
    best = items["item"].to_numpy()[np.argsort(-scores, axis=1, kind="stable")[:, :20]]
    by_user = dict(zip(users["user"], best.tolist(), strict=True))
    assert top.groupby("user", sort=False)["item"].agg(list).to_dict() == by_user


def test_the_same_command_does_what_advance_does_and_both_have_nothing_to_do_then(begun: Path, capsys):
    shutil.copy(begun / "weeks/5.csv", begun / "events")
    shutil.copy(begun / "weeks/6.csv", begun / "events")
    run = repeat(begun)
    assert len(list((run / "tasks").iterdir())) == 6
    state = run / "tasks/5/state.pt"
    written = state.stat().st_mtime_ns

    assert main(["advance", str(run)]) == 0

    assert "nothing new, all 6 tasks are done with the 7 periods of its data" in capsys.readouterr().out
    assert state.stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_kill_while_it_advances_changes_nothing(begun: Path):
    for week in (5, 6):
        shutil.copy(begun / f"weeks/{week}.csv", begun / "events")
    run = run_folder(begun)
    command = [sys.executable, "-c", "from recretrain.commands.cli import main; main()", "advance", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while process.poll() is None and not (run / "tasks/.4").exists() and not (run / "tasks/4").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()

    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    assert same(results(run), results(repeat(begun, f"paths.outputs={begun / 'whole'}")))


def test_a_run_that_was_moved_advances_where_it_is(begun: Path, capsys):
    (begun / "outputs").rename(begun / "elsewhere")
    shutil.copy(begun / "weeks/5.csv", begun / "events")

    assert main(["advance", str(run_folder(begun, "elsewhere"))]) == 0
    assert "1 new task" in capsys.readouterr().out
    assert not (begun / "outputs").exists()


def test_a_folder_that_is_no_run_is_refused_and_left_alone(tmp_path: Path, capsys):
    assert main(["advance", str(tmp_path / "outputs")]) == 1

    assert "is no run folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_rows_that_came_to_a_learned_week_stop_the_run_and_name_it(begun: Path):
    with (begun / "events/4.csv").open("a") as file:
        file.write("u1,i1,1770400000\r\n")  # 6 February 2026

    with pytest.raises(ConfigError, match=r"period 4 \(2026-02-02\) is another one now \(new rows fell into it: "):
        repeat(begun)


OVER_ALL = r"data\.filters\.{} counts later rows too: set 0"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (["data.filters.min_user_interactions=20"], OVER_ALL.format("min_user_interactions=20")),
        (["data.filters.k_core=7"], OVER_ALL.format("k_core=7")),
        (["cut@data.cut=forty", "data.cut.periods=5"], "equal counts move with every new row: cut by the calendar"),
        (["cut@data.cut=weeks_from_end", "data.cut.periods=5"], "it is counted back from the last row: cut by"),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_what_cannot_grow_says_so_before_anything_is_learned(settings: list[str], why: str, begun: Path, monkeypatch):
    calendar = ("cut@data.cut", "data.cut.every")
    own = [word for word in words(begun) if not (settings[0].startswith("cut@") and word.startswith(calendar))]
    monkeypatch.setattr(sys.modules[__name__], "words", lambda folder: own)
    repeat(begun, *settings)
    shutil.copy(begun / "weeks/5.csv", begun / "events")
    monkeypatch.setattr(runner, "loop", lambda *_: pytest.fail("something was learned"))

    with pytest.raises(ConfigError, match=rf"holds results on other data.* is another one now \({why}"):
        repeat(begun, *settings)
