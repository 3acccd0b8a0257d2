"""Whatever changes in a finished task is noticed, by all who read it, and said in one line."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recretrain import sealed
from recretrain.commands.cli import main
from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.errors import ConfigError, ReportError
from recretrain.report import render
from recretrain.report.runs.answers import answers
from recretrain.report.runs.reading import read_runs
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

ROOT = Path(__file__).parents[1]


def overrides(place: Path, *more: str) -> list[str]:
    paths = [f"data.path={place / 'clicks.csv'}", f"paths.outputs={place / 'out'}", f"paths.cache={place / 'cache'}"]
    quick = ["method=fine_tune", "backbone.embedding_size=8", "method.learner.epochs=1", "method.pretraining.epochs=1"]
    quick.append("schedule.warm_up=start")
    return [*TINY, *quick, *paths, *more]


def repeat(place: Path, *more: str) -> Path:
    words = overrides(place, *more)
    config, choices = compose(words)
    return run(config, choices=choices, overrides=words)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that ends early, and could go on."""
    place = tmp_path_factory.mktemp("sealed")
    ((users, items),) = tasteful_slices(1, 700, n_users=30, n_items=60)
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    (place / "clicks.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    repeat(place, "schedule.last_test=5")
    shutil.copytree(place / "out", place / "kept")
    return place


@pytest.fixture
def place(made: Path) -> Path:
    shutil.rmtree(made / "out")
    shutil.copytree(made / "kept", made / "out")
    return made


def folder_of(place: Path) -> Path:
    (folder,) = (place / "out").glob("*/*/*")
    return folder


def flip(file: Path) -> None:
    """Change one byte, not the size."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def add(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"0")


DAMAGES: list[Callable[[Path], None]] = [flip, cut, empty, add]


def test_a_whole_run_is_said_to_be_whole(place: Path, capsys):
    assert main(["verify", str(place / "out")]) == 0

    assert "1 runs, 4 finished tasks" in capsys.readouterr().out


def test_every_file_of_a_task_is_in_its_seal(place: Path):
    tasks = sealed.finished(folder_of(place) / "tasks")

    assert len(tasks) == 4
    for task in tasks:
        names = {name for name in json.loads((task / sealed.SEAL).read_text()) if not name.startswith("../")}
        assert {"rows.csv", "costs.csv", "ranks.npz", "state.pt"} <= names
        assert {path.name for path in task.iterdir()} - {sealed.SEAL} == names - ({"state.pt"} - set(_states(task)))


def _states(task: Path) -> list[str]:
    return ["state.pt"] if (task / "state.pt").exists() else []


@pytest.mark.parametrize("harm", DAMAGES, ids=lambda harm: harm.__name__)
def test_every_damage_of_every_file_is_noticed_by_verify_and_by_the_run(harm, place: Path, capsys):
    folder, noticed = folder_of(place), 0
    for file in sorted(folder.glob("tasks/*/*")):
        before = file.read_bytes()
        harm(file)
        if file.read_bytes() == before:
            continue  # an empty file was emptied

        assert main(["verify", str(place / "out")]) == 1, file
        assert re.search("is damaged|is gone|lacks files", capsys.readouterr().err)
        with pytest.raises(ConfigError, match=r"(is damaged|is gone).*delete .*seed=0-") as refused:
            repeat(place)
        assert "\n" not in str(refused.value)
        file.write_bytes(before)
        noticed += 1
    assert noticed >= 4 * 4 + 1  # four files of every task, and the newest state
    repeat(place)


@pytest.mark.parametrize("name", ["rows.csv", "costs.csv", "ranks.npz"])
def test_a_task_that_lost_a_file_is_not_finished_for_run_nor_report(name: str, place: Path):
    folder = folder_of(place)
    (folder / "tasks" / "2" / name).unlink()

    assert len(sealed.finished(folder / "tasks")) == 2
    (read,) = read_runs(place / "out")
    assert read.done == 2
    assert not read.complete
    with pytest.raises(ConfigError, match=r"state\.pt is gone, so the run cannot go on; delete "):
        repeat(place)


def changed_figures(file: Path) -> None:
    """A figure ten times as good, in a file that is well-formed."""
    with file.open(newline="") as rows:
        records = list(csv.DictReader(rows))
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, records[0].keys())
        writer.writeheader()
        writer.writerows({**record, "value": str(float(record["value"]) * 10)} for record in records)


@pytest.mark.parametrize("harm", [*DAMAGES, changed_figures], ids=lambda harm: harm.__name__)
def test_a_report_tells_no_figure_of_a_damaged_run(harm, place: Path):
    harm(folder_of(place) / "tasks" / "3" / "rows.csv")

    text = render(place / "out", conf_dir=ROOT / "conf")

    assert "No finished run" in text or "Left out" in text
    assert "recall@20" not in text
    (read,) = read_runs(place / "out")
    assert "rows.csv is damaged" in read.shortfall()


def test_figures_that_are_not_those_of_the_answers_are_a_fault_even_under_a_seal(place: Path, capsys):
    task = folder_of(place) / "tasks" / "3"
    changed_figures(task / "rows.csv")
    (task / sealed.SEAL).unlink()
    sealed.seal(task)

    assert main(["verify", str(place / "out")]) == 1
    assert "by rows.csv and" in capsys.readouterr().err


def test_answers_of_a_damaged_file_are_not_compared(place: Path):
    (read,) = read_runs(place / "out")
    np.testing.assert_array_less(-1, answers(read, ["recall@5"], "test", "all"))
    flip(folder_of(place) / "tasks" / "3" / "ranks.npz")

    with pytest.raises(ReportError, match=r"ranks\.npz is damaged"):
        answers(read, ["recall@5"], "test", "all")


def test_tasks_that_were_finished_before_there_were_seals_are_still_read(place: Path, capsys):
    for file in folder_of(place).glob(f"tasks/*/{sealed.SEAL}"):
        file.unlink()

    assert main(["verify", str(place / "out")]) == 0
    assert "4 of them are older than their seals" in capsys.readouterr().out
    repeat(place)


def test_a_damaged_card_says_what_to_delete(place: Path):
    (folder_of(place) / "run.json").write_text("")

    with pytest.raises(ConfigError, match=r"run\.json is damaged .*delete .*seed=0-"):
        repeat(place)
