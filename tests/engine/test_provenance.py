"""run.json says who did what: begun once, and an entry for each process that finished tasks."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from recretrain.configuration.compose import compose
from recretrain.engine import runner
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

PLAIN = [word for word in TINY if not word.startswith("trainer.threads")]


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    ((users, items),) = tasteful_slices(1, 700, n_users=30, n_items=60)
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    return tmp_path


@pytest.fixture(autouse=True)
def same_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run(place: Path, *more: str, jobs: int = 1) -> Path:
    paths = [f"data.path={place / 'clicks.csv'}", f"paths.outputs={place / 'out'}", f"paths.cache={place / 'cache'}"]
    words = [*PLAIN, "method=popularity", "schedule.warm_up=start", *paths, *more]
    config, choices = compose(words)
    return runner.run(config, choices=choices, overrides=words, jobs=jobs)


def card(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def tasks(folder: Path) -> list[list[int]]:
    return [process["tasks"] for process in card(folder)["processes"]]


def test_a_run_in_one_go_has_one_process(clicks: Path):
    folder = run(clicks)

    assert tasks(folder) == [[0, 4]]
    (process,) = card(folder)["processes"]
    assert process == {key: card(folder)[key] for key in process if key != "tasks"} | {"tasks": [0, 4]}


def test_a_run_that_is_continued_says_by_whom_and_since_when(clicks: Path, monkeypatch, caplog):
    folder = run(clicks, "schedule.last_test=4")
    begun = card(folder)
    monkeypatch.setattr(runner, "version", lambda name: "9.9" if name == "torch" else "1.0")
    caplog.set_level(logging.WARNING, "recretrain")

    run(clicks)

    now = card(folder)
    assert tasks(folder) == [[0, 2], [3, 4]]
    assert now["processes"][1]["versions"]["torch"] == "9.9"
    assert {key: now[key] for key in ("versions", "started")} == {key: begun[key] for key in ("versions", "started")}
    assert now["tested"] == [5, 6]
    assert f"torch 9.9, was {begun['versions']['torch']}" in caplog.text


def test_a_process_that_was_killed_before_it_could_say_so_is_told_of(clicks: Path, monkeypatch):
    written = runner.RunStore.write_card

    def once(self, content):
        if not (self.folder / "run.json").exists():
            written(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(runner.RunStore, "write_card", once)  # as if killed after a commit
        folder = run(clicks, "schedule.last_test=4")
    assert tasks(folder) == [[0, -1]]

    run(clicks)

    assert tasks(folder) == [[0, 2], [3, 4]]


def test_a_finished_run_is_not_written_to(clicks: Path, monkeypatch):
    folder = run(clicks)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr(runner, "version", lambda name: "9.9")

    run(clicks)

    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_shorter_command_does_not_make_a_run_forget_what_it_tested(clicks: Path):
    folder = run(clicks)
    before = (folder / "run.json").read_text(), (folder / "config.yaml").read_text()

    run(clicks, "schedule.last_test=4")

    assert ((folder / "run.json").read_text(), (folder / "config.yaml").read_text()) == before


def test_a_run_goes_on_with_the_threads_that_it_was_begun_with(clicks: Path, monkeypatch, caplog):
    monkeypatch.setattr("recretrain.engine.machine.cores", lambda: 2)
    caplog.set_level(logging.WARNING, "recretrain")
    folder = run(clicks, "schedule.last_test=4", jobs=2)
    assert card(folder)["threads"] == 1

    run(clicks, "schedule.last_test=5", jobs=1)  # alone it would take two
    assert [process["threads"] for process in card(folder)["processes"]] == [1, 1]
    assert not caplog.text

    run(clicks, "trainer.threads=2")
    assert [process["threads"] for process in card(folder)["processes"]] == [1, 1, 2]
    assert "goes on with 2 threads, was begun with 1" in caplog.text
