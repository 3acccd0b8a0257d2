"""A finished run is known as such without torch; whatever is not as it was is left to the engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import hydra
import pytest

from recretrain.commands.repeated import finished_before
from recretrain.commands.run import launch
from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

METHOD = ["method=popularity"]


def written(file: Path, rows: int) -> None:
    ((users, items),) = tasteful_slices(1, 600, n_users=30, n_items=60)
    pairs = list(zip(users, items, strict=True))[:rows]
    file.write_text("\n".join(["user,item,timestamp", *(f"{u},{i},{t}" for t, (u, i) in enumerate(pairs))]) + "\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a table, a cache, and a finished run on it."""
    place = tmp_path_factory.mktemp("repeated")
    written(place / "clicks.csv", 500)
    config, choices = compose(words(place))
    run(config, choices=choices, overrides=words(place))
    return place


def words(place: Path, *more: str) -> list[str]:
    paths = [f"data.path={place / 'clicks.csv'}", f"paths.outputs={place / 'out'}", f"paths.cache={place / 'cache'}"]
    return [*TINY, *paths, *METHOD, *more]


class Launched(Exception):
    pass


def unwanted(**_: Any) -> None:
    raise Launched


def found(place: Path, *more: str) -> Path | None:
    return finished_before(*compose(words(place, *more)))


def test_a_finished_run_is_found_and_torch_is_not_loaded(finished: Path) -> None:
    code = "import sys; from recretrain.commands.cli import main; code = main(sys.argv[1:]); "
    code += "sys.exit(code or 'torch' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code, "run", *words(finished)], cwd=finished, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "all 5 tasks are done" in done.stderr
    assert "popularity" in done.stdout
    assert found(finished) == next(finished.glob("out/tiny/popularity/*"))


def test_a_finished_run_is_shown_without_hydra_s_launcher(finished: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(hydra, "main", unwanted)

    launch(words(finished))

    assert "popularity" in capsys.readouterr().out


@pytest.mark.parametrize(
    "more",
    [
        ["--run"],
        ["-m", "seed=0"],
        ["seed=1"],
        ["hydra.mode=MULTIRUN"],
        ["seed=0,1"],
        ["experiment=twice", "hydra.searchpath=[{}]"],
    ],
)
def test_whatever_else_is_asked_is_launched(more: list[str], finished: Path, tmp_path: Path, monkeypatch) -> None:
    """Options, what is not done, sweeps, those of a preset too, and mistakes."""
    monkeypatch.setattr(hydra, "main", unwanted)
    preset = tmp_path / "experiment" / "twice.yaml"
    preset.parent.mkdir()
    preset.write_text('# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: "0,1"}}}\n')

    with pytest.raises(Launched):
        launch(words(finished, *(word.format(f"file://{tmp_path}") for word in more)))


@pytest.mark.parametrize("word", ["trainer.threads=2", "schedule.last_test=5", "seed=1", "eval.questions.candidates=9"])
def test_another_value_is_left_to_the_engine(word: str, finished: Path) -> None:
    assert found(finished, word) is None


def test_rows_that_came_are_left_to_the_engine(finished: Path) -> None:
    before = (finished / "clicks.csv").read_bytes()
    try:
        written(finished / "clicks.csv", 600)
        assert found(finished) is None
    finally:
        (finished / "clicks.csv").write_bytes(before)
    assert found(finished) is not None


@pytest.mark.parametrize("name", ["rows.csv", "ranks.npz", "state.pt", "files.json"])
def test_damage_is_left_to_the_engine(name: str, finished: Path) -> None:
    file = next(finished.glob("out/tiny/popularity/*/tasks/4")) / name
    before = file.read_bytes()
    try:
        file.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert found(finished) is None
        file.unlink()
        assert name in ("state.pt", "files.json") or found(finished) is None  # a task without a seal is an older one
    finally:
        file.write_bytes(before)
    assert found(finished) is not None


def test_what_a_killed_process_left_is_left_to_the_engine(finished: Path) -> None:
    aside = next(finished.glob("out/tiny/popularity/*/tasks")) / ".4"
    aside.mkdir()
    try:
        assert found(finished) is None
    finally:
        aside.rmdir()
