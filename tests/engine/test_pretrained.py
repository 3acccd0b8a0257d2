"""Pre-trained weights are shared by runs that would have trained the very same, and by no others."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recretrain.backbones.mf import MF
from recretrain.configuration.compose import compose
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine import runner
from recretrain.engine.costs import Meter
from recretrain.engine.pretrained import Pretrained, code_of
from recretrain.testing.streams import tasteful_slices

CPU = torch.device("cpu")
LEARNER = {
    "_target_": "recretrain.methods.learners.log_loss.LogLossLearner",
    "learning_rate": 0.01,
    "reg": 0.0,
    "batch_size": 8,
    "epochs": 1,
    "negatives": "rows",
}
IDENTITY = {
    "data": "0123",
    "period": [0, 3, "0..3"],
    "asked": {"kind": "interactions"},
    "backbone": [{"embedding_size": 4}, ["abc"]],
    "seed": 0,
    "machine": ["cpu", "32-true", 1],
    "versions": {"recretrain": "0.2", "torch": "2"},
}


class Run:
    """One run up to its first fit: what it trains depends on the random numbers of its seed."""

    def __init__(self, store: Pretrained) -> None:
        self.store = store
        torch.manual_seed(3)
        self.generator = torch.Generator().manual_seed(4)
        self.backbone = MF(vocabulary=Vocabulary.of(n_users=3, n_items=5), embedding_size=4, init_std=0.1)
        self.trained = 0

    def train(self) -> None:
        self.trained += 1
        self.store.meter.on_read("0..3/rows", 20)
        with torch.no_grad():
            self.backbone.user += torch.rand(3, 4, generator=self.generator) + torch.rand(3, 4)
        _work(0.05)

    def once(self) -> Run:
        self.store.once("pretraining", self.backbone, self.generator, self.train)
        self.store.meter.stop()
        return self

    def draws(self) -> list[list[float]]:
        """What is drawn after it."""
        return [torch.rand(3, generator=self.generator).tolist(), torch.rand(3).tolist()]


def _work(seconds: float) -> None:
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass


def store(folder: Path, **changes: Any) -> Pretrained:
    settings = {"pretraining": LEARNER, "learner": {"_target_": LEARNER["_target_"]}}
    return replace(Pretrained(folder / "shared", IDENTITY, settings, Meter(CPU)), **changes)


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "shared").glob("*.pt"))


def test_a_second_run_takes_the_weights_and_draws_the_numbers_of_one_that_trained(tmp_path):
    first = Run(store(tmp_path)).once()
    drawn = first.draws()
    second = Run(store(tmp_path)).once()

    assert (first.trained, second.trained) == (1, 0)
    assert torch.equal(first.backbone.user, second.backbone.user)
    assert torch.equal(first.backbone.item, second.backbone.item)
    assert second.draws() == drawn
    assert len(kept(tmp_path)) == 1


def test_costs_and_rows_count_as_if_it_had_trained(tmp_path):
    first, second = (Run(store(tmp_path)).once() for _ in range(2))

    assert second.store.meter.read == first.store.meter.read == {"0..3/rows": 20}
    assert second.store.meter.rows_read == 20
    assert second.store.meter.cpu_seconds >= 0.05
    assert second.store.meter.wall_seconds >= 0.05


def test_what_was_read_before_is_not_counted_as_the_pretrainings(tmp_path):
    first = Run(store(tmp_path))
    first.store.meter.on_read("before/rows", 7)
    _work(0.2)
    first.once()

    second = Run(store(tmp_path)).once()

    assert first.store.meter.read == {"before/rows": 7, "0..3/rows": 20}
    assert second.store.meter.read == {"0..3/rows": 20}
    assert first.store.meter.cpu_seconds >= 0.25
    assert second.store.meter.cpu_seconds < 0.2


def trains_anew(folder: Path, first: Pretrained, second: Pretrained) -> bool:
    """Whether the second run trains for itself, and both then find their own weights again."""
    Run(first).once()
    found = Run(second).once().trained == 1
    assert Run(first).once().trained == 0
    assert Run(second).once().trained == 0
    return found and len(kept(folder)) == 2


def changed(learner: dict[str, Any]) -> dict[str, Any]:
    return {"settings": {"pretraining": learner}}


DIFFERENCES: dict[str, dict[str, Any]] = {
    **{
        f"another {name}": {"identity": {**IDENTITY, name: value}}
        for name, value in {
            "data": "4567",
            "period": [0, 2, "0..2"],
            "asked": {"kind": "interactions", "seed": 1},
            "backbone": [{"embedding_size": 5}, ["abc"]],
            "seed": 1,
            "machine": ["cpu", "32-true", 2],
            "versions": {"recretrain": "0.3", "torch": "2"},
        }.items()
    },
    "an edited backbone": {"identity": {**IDENTITY, "backbone": [{"embedding_size": 4}, ["abd"]]}},
    "another rate": changed({**LEARNER, "learning_rate": 0.02}),
    "another setting within": changed({**LEARNER, "network": {"hidden": 4}}),
    "another learner": changed({**LEARNER, "_target_": "recretrain.methods.learners.ratings.RatingLearner"}),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_run_of_other_settings_trains_for_itself(tmp_path, difference):
    assert trains_anew(tmp_path, store(tmp_path), store(tmp_path, **DIFFERENCES[difference]))


def test_what_another_node_says_makes_no_difference(tmp_path):
    other = {"pretraining": LEARNER, "learner": {"_target_": "elsewhere.Other", "epochs": 9}}

    assert not trains_anew(tmp_path, store(tmp_path), store(tmp_path, settings=other))


class IgnoresTheSettings(Pretrained):
    def once(self, name: str, backbone: MF, generator: torch.Generator, train: Callable[[], None]) -> None:  # type: ignore[override]
        Pretrained(self.folder, self.identity, {name: {}}, self.meter).once(name, backbone, generator, train)


class IgnoresTheIdentity(Pretrained):
    def once(self, name: str, backbone: MF, generator: torch.Generator, train: Callable[[], None]) -> None:  # type: ignore[override]
        Pretrained(self.folder, {}, self.settings, self.meter).once(name, backbone, generator, train)


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (IgnoresTheSettings, "another rate"),
        (IgnoresTheSettings, "another learner"),
        (IgnoresTheIdentity, "another seed"),
    ],
)
def test_a_store_that_ignores_what_decides_the_weights_is_caught(tmp_path, mutant, caught_by):
    first = store(tmp_path)
    second = replace(first, **DIFFERENCES[caught_by])
    broken = [mutant(one.folder, one.identity, one.settings, Meter(CPU)) for one in (first, second)]

    assert not trains_anew(tmp_path, *broken)


def test_an_edited_learner_is_another_learner(tmp_path, monkeypatch):
    own = tmp_path / "own_learner.py"
    own.write_text("class Own:\n    rate = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = {"pretraining": {"_target_": "own_learner.Own"}}
    Run(store(tmp_path, settings=settings)).once()
    assert Run(store(tmp_path, settings=settings)).once().trained == 0

    own.write_text("class Own:\n    rate = 2\n")

    assert Run(store(tmp_path, settings=settings)).once().trained == 1
    assert len(kept(tmp_path)) == 2


def test_the_code_of_a_node_is_that_of_all_classes_it_names():
    names = LEARNER["_target_"], "recretrain.methods.parts.exemplars.Memory"
    nested = {"_target_": names[0], "parts": {"memory": {"_target_": names[1]}}}

    learner, memory = (code_of({"_target_": name}) for name in names)

    assert code_of(nested) == [*learner, *memory]
    assert learner != memory
    assert code_of({"epochs": 3}) == []


@pytest.mark.parametrize("damage", [b"", b"half a file", "cut", "without weights"])
def test_a_damaged_file_is_made_again(tmp_path, caplog, damage):
    first = Run(store(tmp_path)).once()
    (file,) = kept(tmp_path)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "without weights":
        torch.save({"anything": 1}, file)
    else:
        file.write_bytes(damage)

    with caplog.at_level(logging.WARNING, "recretrain"):
        second = Run(store(tmp_path)).once()

    assert second.trained == 1
    assert torch.equal(second.backbone.user, first.backbone.user)
    assert "it is made again" in caplog.text
    assert str(file) in caplog.text
    assert Run(store(tmp_path)).once().trained == 0


def test_a_file_of_other_settings_under_the_same_name_is_not_taken(tmp_path):
    Run(store(tmp_path)).once()
    Run(store(tmp_path, **DIFFERENCES["another seed"])).once()
    one, other = kept(tmp_path)
    other.write_bytes(one.read_bytes())

    runs = [Run(store(tmp_path)).once(), Run(store(tmp_path, **DIFFERENCES["another seed"])).once()]

    assert sorted(run.trained for run in runs) == [0, 1]


def test_a_training_that_fails_leaves_nothing_behind(tmp_path):
    def failing() -> None:
        raise RuntimeError("the power went")

    broken = Run(store(tmp_path))
    with pytest.raises(RuntimeError):
        broken.store.once("pretraining", broken.backbone, broken.generator, failing)

    assert kept(tmp_path) == []
    assert Run(store(tmp_path)).once().trained == 1


def test_a_name_without_a_node_is_a_mistake_of_the_method(tmp_path):
    run = Run(store(tmp_path))

    with pytest.raises(ValueError, match=r"fit\.once\('warming'\): method has no node of that name"):
        run.store.once("warming", run.backbone, run.generator, run.train)


# --------------------------------------------------------------------------------------------------- whole runs

SMALL = [
    "data=table",
    "data.name=tiny",
    "schedule=next_period",
    "data.cut.periods=6",
    "schedule.start=2",
    "schedule.first_test=4",
    "schedule.choosing=1",
    "schedule.warm_up=start",
    "eval.questions.candidates=10",
    "trainer.progress=false",
    "trainer.threads=1",
    "backbone.embedding_size=4",
    "method.pretraining.epochs=2",
]
FINE_TUNE, FULL = ["method=fine_tune", "method.learner.epochs=1"], ["method=full_retrain", "method.learner.epochs=1"]


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    (users, items), *_ = tasteful_slices(1, 400, n_users=30, n_items=60)
    path = tmp_path / "clicks.csv"
    pd.DataFrame({"user": users, "item": items, "timestamp": range(len(users))}).to_csv(path, index=False)
    return path


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose weights were trained, not taken."""
    from recretrain.engine import pretrained

    made: list[str] = []
    write = pretrained._write
    monkeypatch.setattr(pretrained, "_write", lambda file, state: (made.append(file.name), write(file, state)))
    return made


def run(clicks: Path, out: str, *more: str) -> Path:
    places = [f"data.path={clicks}", f"paths.outputs={clicks.parent / out}", f"paths.cache={clicks.parent / 'cache'}"]
    words = [*SMALL, *more, *places]
    config, choices = compose(words)
    return runner.run(config, choices=choices, overrides=words)


def ranks(folder: Path) -> list[dict[str, list[int]]]:
    found = []
    for task in sorted((folder / "tasks").iterdir(), key=lambda path: int(path.name)):
        with np.load(task / "ranks.npz") as arrays:
            found.append({name: arrays[name].tolist() for name in arrays.files})
    return found


def rows_read(folder: Path) -> list[int]:
    costs = [pd.read_csv(path) for path in sorted((folder / "tasks").glob("*/costs.csv"))]
    return pd.concat(costs)["rows_read"].tolist()


def test_runs_that_begin_alike_are_pre_trained_once_and_end_as_if_each_had_been(clicks, trainings):
    alone = run(clicks, "alone", *FULL)
    run(clicks, "shared", *FINE_TUNE)
    assert len(trainings) == 2

    sharing = run(clicks, "shared", *FULL)

    assert len(trainings) == 2
    assert ranks(sharing) == ranks(alone)
    assert rows_read(sharing) == rows_read(alone)
    assert sorted(path.name for path in (clicks.parent / "shared").iterdir()) == [".pretrained", "tiny"]


@pytest.mark.parametrize(
    "word",
    [
        "seed=1",
        "backbone.embedding_size=5",
        "backbone.init_std=0.3",
        "method.pretraining.learning_rate=0.02",
        "schedule.start=3",
        "data.cut.periods=5",
        "eval.questions.seed=1",
        "eval.questions.history=3",
        "trainer.precision=bf16-mixed",
    ],
)
def test_a_run_that_begins_otherwise_is_pre_trained_for_itself(clicks, trainings, word):
    run(clicks, "out", *FINE_TUNE)

    run(clicks, "out", *FINE_TUNE, word)

    assert len(trainings) == 2


@pytest.mark.parametrize("word", ["method.learner.epochs=2", "eval.ks=[3]", "schedule.last_test=4"])
def test_what_follows_makes_no_difference_to_the_beginning(clicks, trainings, word):
    run(clicks, "out", *FINE_TUNE)

    run(clicks, "out", *FINE_TUNE, word)

    assert len(trainings) == 1


def test_other_data_are_pre_trained_on_for_themselves(clicks, trainings):
    folder = run(clicks, "out", *FINE_TUNE)
    first = json.loads((folder / "run.json").read_text())["data_digest"]
    frame = pd.read_csv(clicks)
    frame.loc[0, "item"] = 3 if frame.loc[0, "item"] != 3 else 5
    frame.to_csv(clicks, index=False)

    again = run(clicks, "out", *FULL)

    assert json.loads((again / "run.json").read_text())["data_digest"] != first
    assert len(trainings) == 2
