import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from pytorch_lightning import Trainer

from recretrain.configuration.compose import compose
from recretrain.engine import runner
from recretrain.engine.build import Experiment
from recretrain.errors import ConfigError
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

SML = ["method=sml", "method.loops=2", "backbone.embedding_size=8", "method.transfer.network.hidden=16"]


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    parts = tasteful_slices(1, 700, n_users=30, n_items=60)
    users, items = parts[0]
    path = tmp_path / "clicks.csv"
    pd.DataFrame({"user": users, "item": items, "timestamp": range(len(users))}).to_csv(path, index=False)
    return path


def overrides(clicks: Path, outputs: Path, *more: str) -> list[str]:
    places = [f"data.path={clicks}", f"paths.outputs={outputs}", f"paths.cache={clicks.parent / 'cache'}"]
    return [*TINY, *SML, *places, *more]


def run(*words: str) -> Path:
    config, choices = compose(words)
    return runner.run(config, choices=choices, overrides=words)


def results(folder: Path) -> list[object]:
    """Everything that must not depend on how often a run was interrupted."""
    found: list[object] = []
    for task in sorted((folder / "tasks").iterdir(), key=lambda path: int(path.name)):
        found.append((task / "rows.csv").read_text())
        with np.load(task / "ranks.npz") as ranks:
            found.append({name: ranks[name].tolist() for name in ranks.files})
    return found


def sizes(clicks: Path) -> list[int]:
    (card,) = (clicks.parent / "cache").glob("*/stream.json")
    return [period["rows"] for period in json.loads(card.read_text())["periods"]]


def times_written(folder: Path) -> dict[str, int]:
    return {str(p): p.stat().st_mtime_ns for p in (folder / "tasks").rglob("*")}


def test_the_second_call_trains_nothing(clicks, tmp_path, monkeypatch):
    words = overrides(clicks, tmp_path / "out")
    folder = run(*words)
    before = times_written(folder)
    monkeypatch.setattr(Experiment, "method", lambda *_: pytest.fail("a finished run built its method again"))

    assert run(*words) == folder
    assert times_written(folder) == before
    assert len(results(folder)) == 2 * 5


def test_what_the_fits_of_a_run_leave_in_cycles_is_gone_when_it_is_over(clicks, tmp_path):
    """Trainers hold models and rows: they would add up until Python happens to look for cycles."""
    made, weak = Trainer.__init__, []

    def init(self, *given, **named):
        made(self, *given, **named)
        weak.append(weakref.ref(self))

    gc.disable()
    try:
        with patch.object(Trainer, "__init__", init):
            run(*overrides(clicks, tmp_path / "out"))
        left = sum(trainer() is not None for trainer in weak)
    finally:
        gc.enable()

    assert len(weak) > 5
    assert left == 0


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_free_memory_is_given_back_when_a_run_is_over(clicks, tmp_path):
    """Else the next run of the process, an arena's or a sweep's, is said to have needed it."""

    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 2**10  # MiB

    run(*overrides(clicks, tmp_path / "first"))
    crumbs = [bytes(1024) for _ in range(300_000)]
    above = bytes(1024)  # in use, at the end of the heap
    del crumbs[:]
    before = resident()

    run(*overrides(clicks, tmp_path / "second"))

    assert before - resident() > 100
    assert above


def test_a_run_that_failed_goes_on_and_gives_what_an_unbroken_one_gives(clicks, tmp_path, monkeypatch):
    unbroken = run(*overrides(clicks, tmp_path / "unbroken"))
    answered, calls = runner.answered, []

    def failing(*args):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("the power went")
        return answered(*args)

    words = overrides(clicks, tmp_path / "broken")
    with monkeypatch.context() as patch:
        patch.setattr(runner, "answered", failing)
        with pytest.raises(RuntimeError):
            run(*words)
    broken = next((tmp_path / "broken").glob("*/*/*"))
    assert "the power went" in (broken / "error.txt").read_text()
    assert sorted(p.name for p in (broken / "tasks").iterdir()) == ["0", "1", "2"]

    assert results(run(*words)) == results(unbroken)
    assert not (broken / "error.txt").exists()


def test_a_run_that_ends_early_can_be_continued(clicks, tmp_path):
    whole = run(*overrides(clicks, tmp_path / "whole"))

    early = run(*overrides(clicks, tmp_path / "early", "schedule.last_test=5"))
    assert len(results(early)) == 2 * 4
    assert run(*overrides(clicks, tmp_path / "early")) == early

    assert results(early) == results(whole)


def test_costs_count_only_what_the_update_read(clicks, tmp_path):
    folder = run(*overrides(clicks, tmp_path / "out"))
    costs = pd.concat([pd.read_csv(path) for path in sorted((folder / "tasks").glob("*/costs.csv"))])
    n = sizes(clicks)

    # the warm-up block; the first period alone; then each period and the one before it, however long the history
    assert costs["rows_read"].tolist() == [n[0] + n[1], n[2], n[2] + n[3], n[3] + n[4], n[4] + n[5]]
    assert (costs["trained_parameters"] > 90 * 8).all()


def test_results_on_other_data_are_not_mixed(clicks, tmp_path):
    words = overrides(clicks, tmp_path / "out")
    run(*words)
    with clicks.open("a") as file:
        file.write("1,1,100000\n")

    with pytest.raises(ConfigError, match=r"holds results on other data.*delete that folder"):
        run(*words)


def test_seeds_differ_in_weights_but_not_in_questions(clicks, tmp_path):
    first = run(*overrides(clicks, tmp_path / "out"))
    second = run(*overrides(clicks, tmp_path / "out", "seed=1"))

    assert first != second
    assert results(first) != results(second)
    assert len(list((clicks.parent / "cache").glob("*/candidates-*"))) == 1


def test_a_value_that_a_constructor_refuses_is_shown_plainly(clicks, tmp_path):
    with pytest.raises(ConfigError, match=r"^eval\.questions\.catalogue=sampled needs eval\.questions\.candidates"):
        run(*overrides(clicks, tmp_path / "out", "eval.questions.candidates=null"))
    with pytest.raises(ConfigError, match=r"^the warm-up block of 5 periods must hold at least one and end"):
        run(*overrides(clicks, tmp_path / "out", "schedule.start=5"))
    assert not (tmp_path / "out").exists()


def test_a_backbone_that_a_method_cannot_train_is_named_plainly(clicks, tmp_path):
    words = [
        word for word in overrides(clicks, tmp_path / "out", "backbone=item_scores") if "embedding_size" not in word
    ]

    with pytest.raises(ConfigError, match="SML trains a backbone of kind MF, not ItemScores"):
        run(*words)


def test_a_device_that_is_not_there_is_named_plainly(clicks, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    with pytest.raises(ConfigError, match=r"trainer\.device=cuda, but torch sees no CUDA device; use trainer\.device="):
        run(*overrides(clicks, tmp_path / "out", "trainer.device=cuda"))


class Nothing:
    """A class that is no method."""

    def __init__(self, *, backbone: object) -> None:
        pass


def test_a_method_that_is_none_is_refused(clicks, tmp_path):
    words = overrides(clicks, tmp_path / "out")
    config, choices = compose(words)
    config.method = {"_target_": f"{__name__}.Nothing"}

    with pytest.raises(
        ConfigError, match=r"method\._target_=.*Nothing is not a RetrainMethod; derive it from that class"
    ):
        runner.run(config, choices=choices, overrides=words)


def test_fine_tune_reads_today_alone_and_full_retrain_everything(clicks, tmp_path):
    quick = [
        "method.pretraining.epochs=1",
        "method.learner.epochs=1",
        "backbone.embedding_size=8",
        "schedule.warm_up=start",
    ]
    read = {}
    for method in ("fine_tune", "full_retrain"):
        places = [f"data.path={clicks}", f"paths.outputs={tmp_path / 'out'}", f"paths.cache={clicks.parent / 'cache'}"]
        folder = run(*TINY, f"method={method}", *quick, *places)
        costs = pd.concat([pd.read_csv(path) for path in sorted((folder / "tasks").glob("*/costs.csv"))])
        read[method] = costs["rows_read"].tolist()

    n = sizes(clicks)
    assert read["fine_tune"] == [n[0] + n[1], *n[2:6]]
    assert read["full_retrain"] == [sum(n[: learned + 1]) for learned in range(1, 6)]


@pytest.mark.slow
def test_a_killed_process_goes_on_bit_for_bit(clicks, tmp_path):
    unbroken = run(*overrides(clicks, tmp_path / "unbroken"))
    words = overrides(clicks, tmp_path / "killed")
    command = [sys.executable, "-c", "from recretrain.commands.cli import main; main()", "run", *words]
    for finished in (1, 3):  # killed once each of these is done
        process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"})
        while process.poll() is None and not list((tmp_path / "killed").glob(f"*/*/*/tasks/{finished}")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()

    subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    (killed,) = (tmp_path / "killed").glob("*/*/*")
    assert results(killed) == results(unbroken)


def test_the_whole_catalogue_can_be_ranked(clicks, tmp_path):
    words = overrides(clicks, tmp_path / "out", "eval=full", "method=popularity")
    folder = run(*[word for word in words if not word.startswith(("method.", "method=sml", "backbone."))])

    with np.load(folder / "tasks" / "4" / "ranks.npz") as ranks:
        half = ranks["6_test"]

    assert half.max() > 2 * 10  # beyond what ten candidates could give
    assert half.max() < 2 * 60
