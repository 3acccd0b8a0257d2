"""Each check of the contract catches the fault it is there for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.data.schedule import OwnTests, Task
from recretrain.data.stream import Period, Rows, Stream
from recretrain.methods.ader import ADER
from recretrain.methods.base import RetrainMethod
from recretrain.methods.melu import MeLU
from recretrain.methods.popularity import Popularity
from recretrain.methods.sml import SML
from recretrain.methods.state import Stateful
from recretrain.testing import Case, case, learn
from recretrain.testing.contract import (
    answers_each_question_by_itself,
    is_unchanged_by_being_asked,
    knows_nothing_of_later_periods,
    learns_nothing_from_its_own_tests,
    learns_something,
    leaves_its_data_alone,
    never_asks_for_its_tests,
    resumes_where_it_stopped,
    same,
    slices_of,
    through_a_file,
)
from recretrain.testing.growth import grows_with_its_data
from recretrain.testing.unusual import UNUSUAL

OWN = ("eval=sampled", "schedule=own_tests")


class Mutated(Case):
    """A case whose method is of another class, or with another part."""

    def method(self, stream: Stream) -> RetrainMethod[Any]:
        method = super().method(stream)
        mutate(self.name, method)
        return method


CHANGES: dict[str, Any] = {}


def mutate(name: str, method: RetrainMethod[Any]) -> None:
    CHANGES[name](method)


def with_class(name: str, mutant: type[RetrainMethod[Any]], *overrides: str) -> Case:
    def change(method: RetrainMethod[Any]) -> None:
        method.__class__ = mutant

    return changed(name, change, *overrides)


def changed(name: str, change: Any, *overrides: str) -> Case:
    CHANGES[name] = change
    plain = case(name, *overrides)
    return Mutated(plain.name, plain.overrides, plain.settings, plain.evaluator, plain.schedule)


class Peeking(Popularity):
    def update(self, task, fit):
        super().update(task, fit)
        for test in task.tests().values():
            self.backbone.scores[test.labels] += 1


class OrderDependent(Popularity):
    def score(self, questions):
        return super().score(questions) + torch.arange(questions.candidates.shape[1])


class PositionDependent(Popularity):
    def score(self, questions):
        return super().score(questions) * torch.arange(1, len(questions.user) + 1).unsqueeze(1).cos()


class LearningWhileAnswering(Popularity):
    def score(self, questions):
        self.backbone.scores[questions.candidates[:, 0]] += 1
        return super().score(questions)


class Sorting(Popularity):
    def update(self, task, fit):
        task.period.train.item.copy_(task.period.train.item.sort().values)
        super().update(task, fit)


class Ignorant(Popularity):
    def update(self, task, fit):
        self.backbone.scores.copy_(torch.rand(len(self.backbone.scores), generator=fit.generator))


@pytest.mark.parametrize(
    ("check", "mutant"),
    [
        (never_asks_for_its_tests, Peeking),
        (knows_nothing_of_later_periods, Peeking),
        (answers_each_question_by_itself, OrderDependent),
        (answers_each_question_by_itself, PositionDependent),
        (is_unchanged_by_being_asked, LearningWhileAnswering),
        (leaves_its_data_alone, Sorting),
        (learns_something, Ignorant),
    ],
    ids=lambda thing: thing.__name__,
)
def test_a_mutant_is_caught(check, mutant, tmp_path: Path):
    with pytest.raises(AssertionError):
        check(with_class("popularity", mutant), tmp_path / "stream")


@pytest.mark.parametrize("check", [never_asks_for_its_tests, learns_nothing_from_its_own_tests])
def test_a_peek_at_a_period_s_own_tests_is_caught(check, tmp_path: Path):
    check(case("popularity", *OWN), tmp_path / "honest")

    with pytest.raises(AssertionError):
        check(with_class("popularity", Peeking, *OWN), tmp_path / "stream")


class HandingOutAll(OwnTests):
    """A schedule that gives the method all rows of a period, tests too."""

    def tasks(self, stream, on_read):
        class Whole(Rows):
            def __init__(self, period: int) -> None:
                self.period = period

            def interactions(self):
                return stream.interactions(self.period)

            def questions(self):
                return stream.questions(self.period)

        def leaking(make) -> Task:
            task = make()
            return replace(task, period=Period(task.period.index, task.period.name, Whole(task.period.index), on_read))

        return [lambda make=make: leaking(make) for make in super().tasks(stream, on_read)]


def test_a_schedule_that_hands_out_the_tests_is_caught(tmp_path: Path):
    leaking = replace(case("popularity", *OWN), schedule=HandingOutAll(learned=None))

    with pytest.raises(AssertionError, match="own tests"):
        learns_nothing_from_its_own_tests(leaking, tmp_path / "stream")


class KeepingLocalUpdates(MeLU):
    """Its meta-parameters go where the last user's support led."""

    def score(self, questions):
        answer = super().score(questions)
        net, layers = self.backbone, self.backbone.decision_layers()
        last = questions.support.at(slice(len(questions.user) - 1, None))
        local = self.local.adapted_layers(net, questions.user[-1:], last, layers, first=True, steps=1)
        for weight, (moved, _) in zip(layers, local, strict=True):
            weight[0].data.copy_(moved[0])
        return answer


def test_a_melu_that_keeps_what_a_user_taught_it_is_caught(tmp_path: Path):
    with pytest.raises(AssertionError):
        is_unchanged_by_being_asked(with_class("melu", KeepingLocalUpdates), tmp_path / "stream")


class TaughtByItsTests(SML):
    """Its transfer is taught by the period that is about to be asked."""

    def update(self, task, fit):
        super().update(task, fit)
        for test in task.tests().values():
            if self.previous is not None:
                asked = Period(test.period, str(test.period), Asked(test))
                self.transfer(self.backbone, asked, self.previous, self.fresh_rows, fit)
                self._blend(task.period)


class Asked(Rows):
    """The rows of a test set."""

    def __init__(self, test):
        self.test = test

    def interactions(self):
        return Interactions(self.test.user, self.test.labels)

    def questions(self):
        return self.test


@pytest.mark.parametrize("check", [never_asks_for_its_tests, knows_nothing_of_later_periods])
def test_a_gate_that_is_taught_by_what_it_is_about_to_be_asked_is_caught(check, tmp_path: Path):
    check(case("sml_gate"), tmp_path / "honest")

    with pytest.raises(AssertionError):
        check(with_class("sml_gate", TaughtByItsTests), tmp_path / "stream")


class TaughtAfterTheWarmUp(SML):
    """Its lessons before the run go on to the period after the warm-up."""

    stream: Stream

    def _take_lessons(self, early, late, fit):
        super()._take_lessons(early, [*late, self.stream[late[-1].index + 1]], fit)


class WithStream(Case):
    """A case whose method knows its stream."""

    def method(self, stream: Stream) -> RetrainMethod[Any]:
        method = super().method(stream)
        method.__class__, method.stream = TaughtAfterTheWarmUp, stream
        return method


def test_lessons_that_reach_beyond_the_warm_up_are_caught(tmp_path: Path):
    ahead = case("sml_gate", "method.lessons_from=1", "schedule.warm_up=3", "schedule.first_test=5")
    leaking = WithStream(ahead.name, ahead.overrides, ahead.settings, ahead.evaluator, ahead.schedule)

    def after_the_warm_up(found: Case, name: str) -> list[dict[str, Any]]:
        states = []
        for seed in (0, 1):
            slices = [*slices_of(0)[:3], *slices_of(seed)[3:]]
            stream = found.stream(tmp_path / f"{name}{seed}", slices)
            method = found.method(stream)
            learn(method, found.tasks(stream)[0])
            states.append(through_a_file(method.state_dict()))
        return states

    assert same(*after_the_warm_up(ahead, "honest"))
    assert not same(*after_the_warm_up(leaking, "leaking"))


FORGETFUL = [  # method, the part that forgets, and what of its state
    *((SML, "sml", "", key) for key in ("previous", "fresh_rows")),
    *((SML, "sml", part, "adam") for part in ("fresh", "transfer")),
    (SML, "sml", "transfer", "nets"),
    (SML, "sml_gate", "transfer", "nets"),
    (SML, "sml_gate", "", "met"),
    *((ADER, "ader", "learner", key) for key in ("adam", "known")),
    (ADER, "ader", "", "memory"),
    (MeLU, "melu", "learner", "adam"),
    (RetrainMethod, "fine_tune", "learner", "adam"),
]


@pytest.mark.parametrize(("kind", "name", "part", "key"), FORGETFUL, ids=[f"{n}-{p}.{k}" for _, n, p, k in FORGETFUL])
def test_a_method_that_forgets_part_of_its_state_is_caught(kind, name: str, part: str, key: str, tmp_path: Path):
    def forget(method: RetrainMethod[Any]) -> None:
        assert isinstance(method, kind)
        owner: Stateful = getattr(method, part) if part else method
        assert key in owner.state_dict()
        owner.__class__ = forgetting(type(owner), key)

    with pytest.raises((AssertionError, RuntimeError)):  # an ADER that knows no items cannot even go on
        resumes_where_it_stopped(changed(name, forget), tmp_path / "stream")


def forgetting(kind: type[Stateful], key: str) -> type[Stateful]:
    """The class, but it neither saves nor loads part of its state."""

    class Forgetful(kind):
        def parts(self):
            yield from ((name, part) for name, part in super().parts() if name != key)

        kept = tuple(name for name in kind.kept if name != key)

    return Forgetful


def at_once(table, fill, generator):
    """Fill a table in one go: what the next table gets depends on how many rows this one has."""
    with torch.no_grad():
        fill(table, generator)


def only_the_new(earlier, rows):
    """What was learned of the earlier rows is gone where there are more now."""
    return rows if earlier.dim() and len(earlier) < len(rows) else earlier


@pytest.mark.parametrize(
    ("place", "mutant"),
    [
        ("recretrain.backbones.drawing._by_blocks", at_once),
        ("recretrain.methods.learners.log_loss.over_rows", only_the_new),
        ("recretrain.methods.state.over_rows", only_the_new),
    ],
    ids=["drawn at once", "met forgotten", "moments forgotten"],
)
def test_a_method_that_does_not_grow_into_what_it_would_have_been_is_caught(place, mutant, tmp_path, monkeypatch):
    grown = case("fine_tune", "method.learner.negatives=met", "eval=sampled")
    grows_with_its_data(grown, tmp_path / "honest")
    monkeypatch.setattr(place, mutant)

    with pytest.raises(AssertionError, match="grown run"):
        grows_with_its_data(grown, tmp_path / "mutant")


@pytest.mark.parametrize("check", UNUSUAL, ids=lambda check: check.__name__)
def test_a_method_that_fails_in_an_unusual_period_is_found(check: Any, tmp_path: Path) -> None:
    """One that divides by the rows of users, or of items, that it has met before."""

    class Divides(Popularity):
        def update(self, task: Task, fit: Any) -> None:
            rows, met = task.period.train, [period.train for period in task.past]
            for name in ("user", "item") if met else ():
                known = torch.isin(getattr(rows, name), torch.cat([getattr(earlier, name) for earlier in met]))
                assert known.any()
            assert len(rows) > 1
            super().update(task, fit)

    with pytest.raises(AssertionError):
        check(with_class("popularity", Divides), tmp_path)
