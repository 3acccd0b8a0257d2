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
from recretrain.engine.store import RunStore
from recretrain.errors import ConfigError, DataError, ReportError
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


def test_a_folder_without_runs_is_not_called_whole(tmp_path: Path, capsys):
    assert main(["verify", str(tmp_path)]) == 1
    assert f"there are no runs below {tmp_path}" in capsys.readouterr().err


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


@pytest.mark.parametrize("harm", [*DAMAGES, changed_figures, Path.unlink], ids=lambda harm: harm.__name__)
def test_rows_are_written_anew_from_their_copy(harm, place: Path, capsys):
    rows = folder_of(place) / "tasks" / "2" / "rows.csv"
    before = rows.read_bytes()
    harm(rows)

    assert main(["verify", str(place / "out")]) == 1
    assert main(["verify", "--mend", str(place / "out")]) == 0

    assert rows.read_bytes() == before
    assert f"{rows} is written anew, from its copy" in capsys.readouterr().out
    repeat(place)


def test_rows_whose_copy_is_damaged_too_are_left_as_they_are(place: Path, capsys):
    rows = folder_of(place) / "tasks" / "2" / "rows.csv"
    cut(rows)
    cut(rows.with_name("rows.csv.gz"))
    before = {path: path.read_bytes() for path in rows.parent.iterdir()}

    assert main(["verify", "--mend", str(place / "out")]) == 1

    assert {path: path.read_bytes() for path in rows.parent.iterdir()} == before


def test_a_run_that_another_process_does_is_not_mended(place: Path, capsys):
    with RunStore(folder_of(place)).locked():
        assert main(["verify", "--mend", str(place / "out")]) == 1

    assert "another process is working in" in capsys.readouterr().err


def test_a_task_that_is_another_one_s_is_noticed(place: Path, capsys):
    tasks = folder_of(place) / "tasks"
    shutil.rmtree(tasks / "3")
    shutil.copytree(tasks / "2", tasks / "3")

    assert main(["verify", str(place / "out")]) == 1
    assert re.search(r"tasks/3 is damaged \(it holds task 2\)|is gone|is damaged", capsys.readouterr().err)


def test_a_task_of_another_run_is_noticed(place: Path, capsys):
    folder = folder_of(place)
    other = repeat(place, "seed=1", "schedule.last_test=5")
    shutil.rmtree(folder / "tasks" / "2")
    shutil.copytree(other / "tasks" / "2", folder / "tasks" / "2")

    assert main(["verify", str(place / "out")]) == 1
    assert "tasks/1/files.json is damaged" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"is damaged .*delete "):
        repeat(place)


def test_a_card_of_another_run_is_noticed_by_all(place: Path, capsys):
    folder = folder_of(place)
    other = repeat(place, "seed=1", "schedule.last_test=5")
    shutil.copy(other / "run.json", folder / "run.json")

    assert main(["verify", str(place / "out")]) == 1
    assert "run.json is of another run" in capsys.readouterr().err
    assert [read.folder for read in read_runs(place / "out")] == [other]
    with pytest.raises(ConfigError, match=r"run\.json is of another run .*delete "):
        repeat(place)


def test_a_value_of_the_card_that_has_changed_is_noticed(place: Path, capsys):
    card = folder_of(place) / "run.json"
    card.write_text(card.read_text().replace('"threads": 1', '"threads": 2'))

    assert main(["verify", str(place / "out")]) == 1
    assert read_runs(place / "out") == []
    with pytest.raises(ConfigError, match=r"run\.json is damaged \(it has changed since it was written\); delete "):
        repeat(place)


def test_a_run_without_its_card_is_no_run_to_go_on_with(place: Path, capsys):
    (folder_of(place) / "run.json").unlink()

    assert main(["verify", str(place / "out")]) == 1
    with pytest.raises(ConfigError, match=r"run\.json is gone; delete "):
        repeat(place)


@pytest.mark.parametrize("harm", [*DAMAGES, Path.unlink], ids=lambda harm: harm.__name__)
def test_settings_are_written_anew_by_the_same_command(harm, place: Path):
    settings = folder_of(place) / "config.yaml"
    before = settings.read_text()
    harm(settings)
    assert main(["verify", str(place / "out")]) == 1
    assert read_runs(place / "out") == []

    repeat(place, "schedule.last_test=5")

    assert settings.read_text() == before
    assert main(["verify", str(place / "out")]) == 0


def test_what_a_killed_process_left_goes_at_the_next_start(place: Path):
    folder = folder_of(place)
    (folder / "tasks" / ".3").mkdir()
    (folder / ".run.json").write_text("{")
    shutil.copy(folder / "tasks" / "3" / "state.pt", folder / "tasks" / "2" / "state.pt")
    (folder / "tasks" / "2 (copy)").mkdir()

    repeat(place, "schedule.last_test=5")

    assert sorted(path.name for path in folder.iterdir()) == ["config.yaml", "run.json", "run.lock", "tasks"]
    assert sorted(path.name for path in (folder / "tasks").iterdir()) == ["0", "1", "2", "2 (copy)", "3"]
    assert [path.parent.name for path in folder.glob("tasks/*/state.pt")] == ["3"]
    repeat(place)
    assert main(["verify", str(place / "out")]) == 0


def test_a_note_of_what_is_prepared_is_made_again_where_it_is_damaged(place: Path, caplog):
    """Candidates and digests of periods: what is computed from prepared data."""
    kept = {file: file.read_bytes() for file in (place / "cache").glob("tiny-*/**/*") if file.is_file()}
    computed = [file for file in kept if file.name == "lineage.json" or file.parent.name.startswith("candidates-")]
    assert len(computed) > 4
    for file in computed:
        flip(file)

    repeat(place, "seed=2")

    assert {file: file.read_bytes() for file in kept} == kept


@pytest.mark.parametrize("harm", [flip, Path.unlink], ids=lambda harm: harm.__name__)
def test_every_damage_of_prepared_data_is_noticed(harm, place: Path):
    (folder,) = (place / "cache").glob("tiny-*")
    files = sorted({*folder.glob("*.*")} - {folder / "lineage.json", folder / sealed.SEAL})
    assert len(files) > 8
    for file in files:
        before = file.read_bytes()
        harm(file)
        with pytest.raises(DataError, match=rf"{file.name} is (damaged|gone).*; delete .*{folder.name}, it is made"):
            repeat(place, "seed=3")
        file.write_bytes(before)


def test_shared_weights_that_have_changed_are_made_again(place: Path, caplog):
    (weights,) = (place / "out").glob(".pretrained/*.pt")
    folder = repeat(place)
    wanted = [(task / "rows.csv").read_text() for task in sorted(folder.glob("tasks/*"))]
    before = weights.read_bytes()
    for place_of in range(len(before) // 8, len(before), len(before) // 4):  # torch reads them without a word
        shutil.rmtree(folder)
        weights.write_bytes(before[:place_of] + bytes([before[place_of] ^ 1]) + before[place_of + 1 :])
        repeat(place)
        assert [(task / "rows.csv").read_text() for task in sorted(folder.glob("tasks/*"))] == wanted
