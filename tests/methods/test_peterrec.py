"""What each method of PeterRec's paper tunes, shares and stores, task by task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from recretrain.data.downstream import Downstream
from recretrain.data.kinds import Histories
from recretrain.data.schedule import Task
from recretrain.data.stream import Stream
from recretrain.engine.build import method_of
from recretrain.methods.peterrec import PeterRec
from recretrain.testing.contract import CPU, Case, case, learn
from recretrain.testing.streams import write_stream

USERS, SOURCE = 40, 30
SPACES = {"source": range(SOURCE), "click": range(30, 38), "gender": range(38, 40)}
TRAIN, VALID, TEST = 0, 1, 2
QUICK = ("method.learner.stopping.least_steps=0",)
PRETRAINED = ("peterrec", "fine_cls", "fine_last1", "fine_last2", "fine_all", "fine_all_sequential")
FROZEN = ("peterrec", "fine_cls", "fine_last1", "fine_last2", "fine_all", "peter_zero", "peter_zero_trained", "mtl")


def stream(folder: Path) -> Stream:
    """A source and two tasks; even users take even items, click even labels and are of the first class."""
    random = torch.Generator().manual_seed(0)
    user = torch.arange(USERS).repeat_interleave(12)
    items = torch.randint(SOURCE // 2, (len(user),), generator=random) * 2 + user % 2
    part = [VALID if place % 12 == 11 else TRAIN for place in range(len(user))]
    clicks = [(u, 30 + 2 * int(torch.randint(4, (), generator=random)) + u % 2) for u in range(USERS) for _ in range(2)]
    genders = [(u, 38 + u % 2) for u in range(USERS)]
    slices, parts = [(user.tolist(), items.tolist())], [part]
    for rows in (clicks, genders):
        slices.append(([u for u, _ in rows], [label for _, label in rows]))
        parts.append([(TRAIN, TRAIN, TRAIN, VALID, TEST)[n % 5] for n in range(len(rows))])
    folder = write_stream(folder, slices, n_users=USERS, n_items=40, parts=parts, spaces=SPACES)
    return Stream(folder, Downstream(candidates=5, history=12, seed=0))


def small(name: str, *overrides: str) -> Case:
    return case(name, "eval=downstream", "schedule=downstream", "backbone.longest=12", *overrides)


def made(of: Case, on: Stream) -> PeterRec:
    method = of.method(on)
    assert isinstance(method, PeterRec)
    return method


def answers(method: PeterRec, test: Histories) -> Tensor:
    return method.score(test.asked(slice(None), CPU, catalogue=test.catalogue)).clone()


def asked_of(on: Stream, period: int) -> Histories:
    found = on.questions(period, "test")
    assert isinstance(found, Histories)
    return found


def learned(name: str, folder: Path, *overrides: str) -> tuple[PeterRec, Stream, list[Task], list[dict[str, Tensor]]]:
    """The method after each task, with copies of the trunk."""
    on, of = stream(folder), small(name, *overrides)
    method, trunks = made(of, on), []
    for task in of.tasks(on):
        learn(method, task)
        trunks.append({key: value.clone() for key, value in method.backbone.state_dict().items()})
    return method, on, of.tasks(on), trunks


@pytest.mark.parametrize("name", FROZEN)
def test_no_task_changes_the_trunk_or_an_earlier_tasks_answers(name: str, tmp_path: Path) -> None:
    """Bit for bit, also when the tasks are asked in turn."""
    on, of = stream(tmp_path), small(name, *QUICK)
    method = made(of, on)
    source, click, gender = of.tasks(on)
    learn(method, source)
    trunk = {key: value.clone() for key, value in method.backbone.state_dict().items()}
    learn(method, click)
    before = answers(method, asked_of(on, 1))

    learn(method, gender)
    answers(method, asked_of(on, 2))

    assert torch.equal(answers(method, asked_of(on, 1)), before)
    after = method.backbone.state_dict()
    changed = {key for key, value in trunk.items() if not torch.equal(value, after[key])}
    assert changed <= ({"known"} if name == "mtl" else set())
    assert set(method.tasks) == {"1", "2"}
    assert {note.name: note.value for note in method.notes()}["fixed_answers"] == 1


def test_one_network_from_task_to_task_forgets(tmp_path: Path) -> None:
    on, of = stream(tmp_path), small("fine_all_sequential", *QUICK)
    method = made(of, on)
    source, click, gender = of.tasks(on)
    learn(method, source)
    learn(method, click)
    before = answers(method, asked_of(on, 1))

    learn(method, gender)

    assert not torch.equal(answers(method, asked_of(on, 1)), before)
    assert set(method.tasks["1"]) == set(method.tasks["2"]) == {"head"}
    assert set(method.shared) >= {"trunk.item", "trunk.blocks.0.conv1.weight"}
    assert {note.name: note.value for note in method.notes()}["fixed_answers"] == 0


def layers(*parts: str) -> list[str]:
    """Weights of the trunk's last block."""
    return [f"trunk.blocks.3.{part}.{kind}" for part in parts for kind in ("weight", "bias")]


@pytest.mark.parametrize(
    ("name", "tuned"),
    [
        ("fine_cls", {"head"}),
        ("fine_last1", {"head", *layers("conv2", "norm2")}),
        ("fine_last2", {"head", *layers("conv1", "conv2", "norm1", "norm2")}),
    ],
)
def test_what_is_tuned(name: str, tuned: set[str], tmp_path: Path) -> None:
    method, _, _, _ = learned(name, tmp_path, *QUICK)

    assert set(method.tasks["2"]) == tuned
    assert method.trained_parameters() == sum(weight.numel() for weight in method.tasks["2"].values())


def test_what_whole_trunks_tune(tmp_path: Path) -> None:
    plain = {f"trunk.{name}" for name in ("item", *blocks())} | {"head"}
    assert set(learned("fine_all", tmp_path / "all", *QUICK)[0].tasks["2"]) == plain
    assert set(learned("fine_zero", tmp_path / "zero", *QUICK)[0].tasks["2"]) == plain
    assert set(learned("mtl", tmp_path / "mtl", *QUICK)[0].tasks["2"]) == plain | {"trunk.output"}
    both = set(learned("peter_zero_trained", tmp_path / "both", *QUICK)[0].tasks["2"])
    assert both > plain
    assert all(name.startswith("patches.") for name in both - plain)


def blocks() -> list[str]:
    parts = [f"{layer}{half}" for layer in ("conv", "norm") for half in (1, 2)]
    return [f"blocks.{place}.{part}.{kind}" for place in range(4) for part in parts for kind in ("weight", "bias")]


def test_patches_are_tuned_and_little_else(tmp_path: Path) -> None:
    method, _, _, _ = learned("peterrec", tmp_path, *QUICK)
    notes = {note.name: note.value for note in method.notes()}

    stored = method.tasks["2"]
    assert all(name == "head" or name.startswith("patches.") for name in stored)
    assert notes["tuned"] == sum(weight.numel() for weight in stored.values())
    assert notes["task_bytes"] == 4 * notes["tuned"]
    everything = (SOURCE + 2) * 8 + sum(w.numel() for w in method.backbone.blocks.parameters()) + 2 * 8
    assert notes["tuned_share"] == pytest.approx(notes["tuned"] / everything)
    curve = [note for note in method.notes() if note.name == "valid_loss"]
    assert [note.k for note in curve] == list(range(1, len(curve) + 1))


@pytest.mark.parametrize("name", sorted({*FROZEN, "fine_zero", "fine_all_sequential"} - {"peter_zero"}))
def test_each_task_is_learned(name: str, tmp_path: Path) -> None:
    """Half of the labels never suit a user, and who is who shows in every history; a random trunk hides it."""
    longer = [
        *(["method.pretraining.epochs=150", "method.pretraining.learning_rate=0.01"] if name in PRETRAINED else []),
        "backbone.embedding_size=16",
        "method.learner.readout=mean",
        "method.learner.batch_size=8",
        "method.learner.stopping.epochs=20",
        "method.learner.stopping.patience=20",
        *QUICK,
    ]
    method, on, _, _ = learned(name, tmp_path, *longer)

    gender = asked_of(on, 2)
    right = answers(method, gender).argmax(1) + 38 == gender.labels
    assert right.double().mean() >= 0.75


def test_questions_about_the_source_are_the_trunks(tmp_path: Path) -> None:
    method, on, _, _ = learned("peterrec", tmp_path, *QUICK)
    asked = on.questions(0, "valid")
    assert isinstance(asked, Histories)

    found = answers(method, asked)

    expected = method.backbone.score(asked.asked(slice(None), CPU, catalogue=asked.catalogue))
    assert torch.equal(found, expected)


def test_the_known_share_of_inputs_is_told(tmp_path: Path) -> None:
    method, on, _, _ = learned("peterrec", tmp_path, *QUICK)
    test = asked_of(on, 1)
    assert method.about(test) == {"known_share": 1.0}

    method.backbone.known[: SOURCE // 2] = False

    given = test.history[test.history >= 0]
    assert method.about(test)["known_share"] == pytest.approx((given >= SOURCE // 2).float().mean().item())


def test_a_refreshed_trunk_is_another_and_its_tasks_begin_anew(tmp_path: Path) -> None:
    _, _, _, (first, second, third) = learned("peterrec_refreshed", tmp_path, "method.refresh_every=2", *QUICK)

    assert torch.equal(first["item"], second["item"])
    assert not torch.equal(second["item"], third["item"])


def test_one_spaces_labels_begin_with_the_rows_of_the_source(tmp_path: Path) -> None:
    on, of = stream(tmp_path), small("fine_cls")
    method = made(of, on)
    learn(method, of.tasks(on)[0])

    net = method.net(0)
    method.draw(net, torch.Generator())

    items = torch.arange(SOURCE)
    history = torch.randint(SOURCE, (3, 12), generator=torch.Generator().manual_seed(0))
    closed = method.backbone.biased(method.backbone.user_vectors(history, "tcl"))
    torch.testing.assert_close(net.scores(net.features(history), items), closed @ method.backbone.output[:SOURCE].T)


def test_settings_of_any_make_the_method(tmp_path: Path) -> None:
    """The files of conf/method differ from PeterRec's in what they say alone."""
    settings: dict[str, Any] = {name: small(name).settings.method for name in (*FROZEN, "fine_zero")}

    assert {name for name, of in settings.items() if of["pretraining"] is None} == {
        "peter_zero", "peter_zero_trained", "mtl", "fine_zero",
    }  # fmt: skip
    assert {name for name, of in settings.items() if of["patches"]} == {"peterrec", "peter_zero", "peter_zero_trained"}
    assert isinstance(method_of(small("mtl").settings, stream(tmp_path), 0, CPU), PeterRec)
