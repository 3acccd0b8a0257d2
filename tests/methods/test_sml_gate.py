"""SML with a gate is fine-tuning until its gate has learned, and what it learns can be told."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from recretrain.data.schedule import NextPeriod
from recretrain.data.stream import Stream
from recretrain.errors import ConfigError
from recretrain.methods.parts.transfer import DimensionGate, Network
from recretrain.methods.sml import SML
from recretrain.testing import Case, case, learn
from recretrain.testing.contract import PERIODS, same, slices_of, through_a_file

FIT = {"learning_rate": 0.01, "epochs": 3, "batch_size": 32}  # of fine-tune, and of the fresh rows
AS_FINE_TUNE = (
    "method.fresh.negatives=period",
    "method.fresh.adam=carried",
    *(f"method.fresh.{k}={v}" for k, v in FIT.items()),
)
HELD = "method.transfer.taught.until=0"
FAIR = ("schedule.warm_up=tests", "method.lessons_from=1")


def gate(*overrides: str) -> Case:
    return case("sml_gate", *AS_FINE_TUNE, *overrides)


def fine_tune(*overrides: str) -> Case:
    return case("fine_tune", *(f"method.learner.{k}={v}" for k, v in FIT.items()), *overrides)


def ranks(found: Case, folder, change=None) -> list[Tensor]:
    stream = found.stream(folder)
    method = found.method(stream)
    if change is not None:
        change(method)
    answers = []
    for task in found.tasks(stream):
        learn(method, task)
        answers += [found.answers(method, test) for test in task.tests().values()]
    assert len(answers) == 3
    return answers


def served_forever(method: SML) -> None:
    for net in method.transfer.nets.values():
        torch.nn.init.constant_(net.fc2.bias, -40.0)


@pytest.mark.parametrize("warm_up", [("schedule.warm_up=start",), ("schedule.warm_up=tests",), FAIR])
def test_a_gate_held_at_one_answers_as_fine_tune_does_rank_for_rank(warm_up, tmp_path):
    tuned = ranks(fine_tune(warm_up[0]), tmp_path / "fine_tune")

    held = ranks(gate(HELD, *warm_up), tmp_path / "gate")

    assert same(held, tuned)
    assert not same(ranks(gate(*warm_up), tmp_path / "taught"), tuned)


def test_a_gate_held_at_zero_answers_as_the_frozen_start_and_not_as_fine_tune(tmp_path):
    tuned = ranks(fine_tune("schedule.warm_up=start"), tmp_path / "fine_tune")
    frozen = ranks(case("frozen", "schedule.warm_up=start"), tmp_path / "frozen")

    held = ranks(gate(HELD), tmp_path / "gate", served_forever)

    assert not same(held, tuned)
    equal = torch.cat([(a == b).double() for a, b in zip(held, frozen, strict=True)])
    assert equal.mean() > 0.99  # v - (v - w) is w but for rounding


def test_lessons_before_the_run_teach_the_gate_and_leave_the_rows_at_the_baselines_start(tmp_path):
    ahead, plain = gate(*FAIR), gate("schedule.warm_up=tests")
    (taught, tables), (untaught, start) = (
        begun(one, tmp_path / str(place)) for place, one in enumerate((ahead, plain))
    )
    drawn = [p.detach().clone() for p in ahead.method(ahead.stream(tmp_path / "0")).transfer.nets.parameters()]

    assert same(tables, start)
    assert not any(map(same, taught, drawn))
    assert same(untaught, drawn)


def test_the_first_period_after_such_lessons_teaches_nothing_yet(tmp_path):
    """It has fitted no row that the next one could judge."""
    found = gate(*FAIR)
    stream = found.stream(tmp_path / "s")
    method, ends = found.method(stream), []
    for task in found.tasks(stream)[:3]:
        learn(method, task)
        ends.append([p.detach().clone() for p in method.transfer.nets.parameters()])

    assert same(ends[0], ends[1])
    assert not same(ends[1], ends[2])


class Looking(Network):
    """Keeps the tables that its transfers begin with."""

    def __init__(self) -> None:
        self.begun: list[Tensor] = []

    def made(self, embedding_size):
        return DimensionGate(embedding_size=embedding_size)

    def begin(self, transfer, table, fit):
        self.begun.append(table.clone())


@pytest.mark.parametrize("lessons", [(), ("method.lessons_from=1",)])
def test_a_transfer_begins_with_rows_that_were_fitted_before_its_first_lesson(lessons, tmp_path):
    found = case("sml", "schedule.warm_up=tests", *lessons)
    stream = found.stream(tmp_path / "s")
    method, drawn = found.method(stream), found.method(stream)
    method.transfer.network = Looking()
    method.transfer.make(method.backbone)
    learn(method, found.tasks(stream)[0])

    user, item = method.transfer.network.begun

    assert not torch.equal(user, drawn.backbone.user)
    assert torch.equal(user, method.backbone.user) == torch.equal(item, method.backbone.item) == (not lessons)


def begun(found: Case, folder) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Theta and the rows after the warm-up."""
    stream = found.stream(folder)
    method = found.method(stream)
    learn(method, found.tasks(stream)[0])
    weights = [p.detach().clone() for p in method.transfer.nets.parameters()]
    return weights, through_a_file(method.backbone.state_dict())


def test_lessons_before_the_run_read_every_row_of_the_warm_up_once_and_no_other(tmp_path):
    found, read = gate(*FAIR), {}
    stream = found.stream(tmp_path / "s")
    method = found.method(stream)

    learn(method, found.schedule.tasks(stream, read.__setitem__)[0]())

    assert read == {f"{period}/rows": len(stream[period].train) for period in range(3)}


def test_a_stage_of_one_round_reads_the_rows_of_today_alone(tmp_path):
    """They teach the gate that served them, then are fitted; yesterday's are not read again."""
    found, read = gate("method.loops=1"), {}
    stream = found.stream(tmp_path / "s")
    method = found.method(stream)
    for make in found.schedule.tasks(stream, lambda what, rows: read.__setitem__(what, rows))[:4]:
        read.clear()
        learn(method, make())

    assert read == {"4/rows": 150}


def test_rows_fitted_before_the_lessons_are_those_of_the_earlier_periods(tmp_path):
    """Whatever stands in the later ones, the first stage of the lessons begins at the same rows."""
    begins = []
    for seed in (0, 1):
        found = case("sml_gate", "method.lessons_from=2", "schedule.warm_up=4", "schedule.first_test=5")
        stream = found.stream(tmp_path / str(seed), [*slices_of(0)[:2], *slices_of(seed)[2:]])
        method = found.method(stream)
        method.__class__ = Watched
        method.begins = []
        method.pretraining.fit = first_of_all(method.pretraining.fit)
        learn(method, found.tasks(stream)[0])
        begins.append(method.begins)

    assert [len(stages) for stages in begins] == [1, 1]
    assert same(begins[0][0], begins[1][0])


class Watched(SML):
    begins: list[dict[str, Tensor]]

    def _begin(self, today, fit):
        self.begins.append({name: table.detach().clone() for name, table in self.backbone.state_dict().items()})
        super()._begin(today, fit)


def first_of_all(fit):
    """The fit, with random numbers that do not depend on how many were drawn before."""

    def wrapped(backbone, lesson, by):
        by.generator.manual_seed(7)
        fit(backbone, lesson, by)

    return wrapped


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["schedule.warm_up=tests", "method.lessons_from=2"],
            r"lessons_from=2 needs a warm-up of at least 4 periods, and 0\.\.2 is 3",
        ),
        (
            ["schedule.warm_up=start", "method.lessons_from=20"],
            r"at least 22 periods, and 0\.\.1 is 2: lower it, set schedule\.warm_up=tests",
        ),
        (
            ["schedule=own_tests", "method.lessons_from=1"],
            r"at least 3 periods, and 0 is 1: .* method\.lessons_from=null",
        ),
    ],
)
def test_lessons_that_the_warm_up_has_no_periods_for_are_refused_before_anything_is_read(overrides, message, tmp_path):
    found = case("sml_gate", *overrides)
    stream = found.stream(tmp_path / "s")
    read: dict[str, int] = {}
    task = found.schedule.tasks(stream, read.__setitem__)[0]()

    with pytest.raises(ConfigError, match=message):
        learn(found.method(stream), task)

    assert read == {}


def test_moments_of_the_lessons_are_carried_or_begun_with_each_period(tmp_path):
    for adam, steps in (("carried", "more"), ("new", "as many")):
        found = gate(f"method.transfer.adam={adam}")
        stream = found.stream(tmp_path / adam)
        method, counts = found.method(stream), []
        for task in found.tasks(stream)[:4]:
            learn(method, task)
            state = method.state_dict()["transfer"]["adam"]["state"]
            counts += [int(state["state"][0]["step"])] if state else []
        assert len(counts) == 2
        assert (counts[1] > counts[0]) == (steps == "more")


def test_notes_tell_the_mean_gate_by_activity_and_age(tmp_path):
    found = gate("eval.questions.candidates=1", "eval.ks=[1]")
    users, items = [0, 0, 0, 1, 1, 2, 3], [0, 1, 2, 0, 1, 0, 3]
    slices = [([0, 1, 4, 5], [0, 1, 2, 4]), ([0, 1], [1, 0]), (users, items)]
    stream = found.stream(tmp_path / "s", [*slices, *slices_of(0)[: PERIODS - 3]])
    schedule = NextPeriod(start=1, first_test=5, choosing=0, warm_up="start", last_test=None, again=0)
    method, gates = found.method(stream), {}
    for task in replace(found, schedule=schedule).tasks(stream)[:3]:
        learn(method, task)
    for name in ("user", "item"):
        gates[name] = method.transfer.net(name).mean(method.previous[name], method.fresh_rows[name])

    notes = {note.name: note.value for note in method.notes()}

    groups = {  # of the third period: rows of users are 3, 2, 1, 1, of items 3, 2, 1, 1; half of them have at most 1
        "user": {
            "": [0, 1, 2, 3],
            "_low": [2, 3],
            "_high": [0, 1],
            "_new": [2, 3],
            "_seen": [0, 1],
            "_inactive": [4, 5],
        },
        "item": {"": [0, 1, 2, 3], "_low": [2, 3], "_high": [0, 1], "_new": [3], "_seen": [0, 1, 2], "_inactive": [4]},
    }
    expected = {
        f"gate_{name}{group}": float(gates[name][ids].mean())
        for name, of in groups.items()
        for group, ids in of.items()
    }
    assert notes == pytest.approx(expected)
    assert len({*notes.values()}) > 6


def test_a_network_without_a_gate_has_no_notes(tmp_path):
    found = case("sml")
    stream: Stream = found.stream(tmp_path / "s")
    method = found.method(stream)
    for task in found.tasks(stream)[:2]:
        learn(method, task)

    assert list(method.notes()) == []
