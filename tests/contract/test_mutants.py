"""Each check of the contract catches the fault it is there for."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from contract import (
    Make,
    answers_each_question_by_itself,
    is_unchanged_by_being_asked,
    knows_nothing_of_later_periods,
    learns_something,
    leaves_its_data_alone,
    maker,
    never_asks_for_its_tests,
    resumes_where_it_stopped,
)

from recretrain.data.stream import Stream
from recretrain.methods.ader import ADER
from recretrain.methods.base import RetrainMethod
from recretrain.methods.melu import MeLU
from recretrain.methods.popularity import Popularity
from recretrain.methods.sml import SML


def with_class(name: str, mutant: type[RetrainMethod]) -> Make:
    make = maker(name)

    def mutated(stream: Stream) -> RetrainMethod:
        method = make(stream)
        method.__class__ = mutant
        return method

    return replace(make, build=mutated)


def dropping(key: str, method: type[RetrainMethod]) -> type[RetrainMethod]:
    """The method, but it does not save part of its state."""

    class Forgetful(method):
        def extra_state(self):
            return {**super().extra_state(), key: None}

        def load_extra_state(self, state):
            missing = method.extra_state(self)[key]
            super().load_extra_state({**state, key: missing})

    return Forgetful


class Peeking(Popularity):
    def update(self, task, fit):
        super().update(task, fit)
        for test in task.tests().values():
            self.counts.scores[test.labels] += 1


class OrderDependent(Popularity):
    def score(self, questions):
        return super().score(questions) + torch.arange(questions.candidates.shape[1])


class PositionDependent(Popularity):
    def score(self, questions):
        return super().score(questions) * torch.arange(1, len(questions.user) + 1).unsqueeze(1).cos()


class LearningWhileAnswering(Popularity):
    def score(self, questions):
        self.counts.scores[questions.candidates[:, 0]] += 1
        return super().score(questions)


class Sorting(Popularity):
    def update(self, task, fit):
        task.period.train.item.copy_(task.period.train.item.sort().values)
        super().update(task, fit)


class Ignorant(Popularity):
    def update(self, task, fit):
        self.counts.scores.copy_(torch.rand(len(self.counts.scores), generator=fit.generator))


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


class KeepingLocalUpdates(MeLU):
    """Its meta-parameters go where the last user's support led."""

    def score(self, questions):
        answer = super().score(questions)
        support = questions.context["support_item"][-1:], questions.context["support_rating"][-1:]
        layers = self.net.decision_layers()
        for weight, (moved, _) in zip(
            layers, self._adapted(questions.user[-1:], *support, layers, True, 1), strict=True
        ):
            weight[0].data.copy_(moved[0])
        return answer


def test_a_melu_that_keeps_what_a_user_taught_it_is_caught(tmp_path: Path):
    with pytest.raises(AssertionError):
        is_unchanged_by_being_asked(with_class("melu", KeepingLocalUpdates), tmp_path / "stream")


FORGETFUL = [
    *(("sml", SML, key) for key in ("transfer", "fresh_optimizer", "transfer_optimizer", "previous", "fresh")),
    *(("ader", ADER, key) for key in ("optimizer", "known", "memory")),
    ("melu", MeLU, "optimizer"),
]


@pytest.mark.parametrize(("name", "kind", "key"), FORGETFUL, ids=[f"{name}-{key}" for name, _, key in FORGETFUL])
def test_a_method_that_forgets_part_of_its_state_is_caught(name, kind, key, tmp_path: Path):
    with pytest.raises((AssertionError, RuntimeError)):  # an ADER that knows no items cannot even go on
        resumes_where_it_stopped(with_class(name, dropping(key, kind)), tmp_path / "stream")
