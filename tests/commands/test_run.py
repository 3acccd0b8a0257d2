"""`recretrain run`: one run or a sweep, the table at the end, and nothing left lying about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recretrain.commands.run import choices_first, jobs_at_once, options_first

TINY = [
    "data=yelp",
    "data.source=synthetic",
    "data.generator.reviews=1500",
    "data.generator.users=100",
    "data.generator.items=100",
    "data.filters.k_core=0",
    "data.cut.periods=6",
    "schedule.start=3",
    "schedule.first_test=4",
    "schedule.choosing=1",
    "eval.questions.candidates=20",
    "trainer.progress=false",
]


def test_a_run_ends_with_the_table_of_its_data_set(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("run", "method=fine_tune", "data=yelp", "seed=3")

    assert result.code == 0
    assert result.out == "table None of 1 runs in outputs/yelp\n"
    assert [(a.config.seed, a.choices["method"], a.choices["data"]) for a in engine] == [(3, "fine_tune", "yelp")]
    assert engine[0].overrides == ["method=fine_tune", "data=yelp", "seed=3"]


@pytest.mark.parametrize(("given", "found"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_sleep_unless_told_otherwise(given: str | None, found: str) -> None:
    """OpenMP reads the variable when torch is loaded, which is after the command line has begun."""
    code = "import os, sys; from recretrain.commands.cli import main; main(['list', 'data']); "
    code += "print('torch' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    env = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    env |= {"OMP_WAIT_POLICY": given} if given else {}

    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == f"False {found}"


def test_a_sweep_ends_with_one_table(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("run", "method=sml,fine_tune", "seed=0,1", "-m", "hydra.launcher.n_jobs=1")

    assert result.code == 0
    assert result.out == "table None of 4 runs in outputs/yelp\n"
    assert [(a.choices["method"], a.config.seed) for a in engine] == [
        ("sml", 0),
        ("sml", 1),
        ("fine_tune", 0),
        ("fine_tune", 1),
    ]


def test_a_sweep_over_methods_may_set_keys_that_the_default_method_has_not(recretrain: Any, engine: list[Any]) -> None:
    words = ["method=peterrec,fine_all", "backbone.longest=20", "method.learner.learning_rates=[0.1,0.2]"]

    result = recretrain("run", "-m", *words, "schedule.order=[b,a]", "data=qq", "hydra.launcher.n_jobs=1")

    assert result.code == 0
    assert [(a.choices["method"], a.config.backbone.longest) for a in engine] == [("peterrec", 20), ("fine_all", 20)]
    assert [list(a.config.method.learner.learning_rates) for a in engine] == [[0.1, 0.2]] * 2
    assert engine[0].overrides[:2] == ["method=peterrec", "backbone.longest=20"]


def test_only_a_sweep_over_options_leaves_keys_to_its_jobs() -> None:
    plain = ["method=sml", "method.loops=3"]

    assert choices_first(plain) == plain
    assert choices_first(["-m", *plain, "seed=0,1"]) == ["-m", *plain, "seed=0,1"]
    assert choices_first(["-m", "method=sml,spmf", "method.x=3", "+method.y=1", "paths.outputs=o"]) == [
        "-m", "method=sml,spmf", "method.x=choice(3)", "+method.y=1", "paths.outputs=o",
    ]  # fmt: skip


def test_a_sweep_goes_on_after_a_failure_and_lists_it(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("run", "-m", "method=fine_tune", "seed=0,13,1", "hydra.launcher.n_jobs=1")

    assert result.code == 1
    assert [a.config.seed for a in engine] == [0, 13, 1]
    assert "table None of 2 runs" in result.out
    assert "recretrain: 1 of 3 runs failed" in result.err
    assert "  seed=13: RuntimeError: thirteen brings bad luck" in result.err
    assert "/error.txt" in result.err


def test_a_run_leaves_its_run_folder_and_nothing_else(recretrain: Any, engine: list[Any], tmp_path: Path) -> None:
    recretrain("run", "seed=0")
    recretrain("run", "-m", "seed=0,1,13", "hydra.launcher.n_jobs=1")

    files = {file.relative_to(tmp_path).parts[:3] for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {("outputs", "yelp", "sml")}
    assert [folder.name for folder in (tmp_path / "outputs").iterdir()] == ["yelp"]


def test_argv_and_environment_are_given_back(recretrain: Any, engine: list[Any]) -> None:
    import os

    before = list(sys.argv)

    recretrain("run", "seed=0")

    assert sys.argv == before
    assert "HYDRA_FULL_ERROR" not in os.environ


def test_the_composed_configuration_can_be_printed(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("run", "seed=5", "--cfg", "job")

    assert result.code == 0
    assert "seed: 5" in result.out
    assert not engine


def test_options_may_stand_anywhere() -> None:
    mixed = ["seed=1,2", "-m", "~method.loops", "--cfg", "job", "method=sml"]

    assert options_first(mixed) == ["-m", "--cfg", "job", "seed=1,2", "~method.loops", "method=sml"]


def test_the_engine_hears_how_many_jobs_share_the_machine(recretrain: Any, engine: list[Any]) -> None:
    recretrain("run", "seed=0", "hydra.launcher.n_jobs=3")
    recretrain("run", "-m", "seed=1", "hydra.launcher.n_jobs=1")
    assert [asked.jobs for asked in engine] == [1, 1]


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)

    assert jobs_at_once({"n_jobs": 2}) == 2
    assert jobs_at_once({"n_jobs": -1}) == 8
    assert jobs_at_once({"cpus_per_task": 4}) == 2
    assert jobs_at_once({}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [["hydra.launcher.n_jobs=2"], ["hydra/launcher=submitit"]], ids=["joblib", "submitit"]
)
def test_a_sweep_of_processes_trains_once_and_shows_one_table(tmp_path: Path, launcher: list[str]) -> None:
    command = ["run", "-m", "method=fine_tune", "seed=0,1", "method.pretraining.epochs=1", *TINY, *launcher]

    first = _recretrain(tmp_path, *command)
    written = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("rows.csv")}
    again = _recretrain(tmp_path, *command)

    assert first.returncode == 0, first.stderr
    assert "synthetic" in first.stdout
    assert len(written) == 2 * 3  # two seeds; warm-up and two periods
    assert again.stdout.split("cost of a period")[0] == first.stdout.split("cost of a period")[0]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("rows.csv")} == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "outputs"]
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {"yelp", ".pretrained"}


@pytest.mark.slow
def test_a_failure_in_a_process_is_listed(tmp_path: Path) -> None:
    command = ["run", "-m", "method=fine_tune", "seed=0,1", *TINY, "schedule.first_test=99", "hydra.launcher.n_jobs=2"]

    done = _recretrain(tmp_path, *command)

    assert done.returncode == 1
    assert "recretrain: 2 of 2 runs failed" in done.stderr
    assert "  seed=0; seed=1: schedule.first_test=99 but yelp has periods 0..5" in done.stderr


def _recretrain(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "recretrain", *arguments], cwd=folder, capture_output=True, text=True, timeout=300
    )
