"""Each check of the contract catches the fault it is there for."""

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

from recretrain.methods.base import RetrainMethod
from recretrain.methods.popularity import Popularity
from recretrain.methods.sml import SML


def with_class(name: str, mutant: type[RetrainMethod]) -> Make:
    make = maker(name)

    def mutated() -> RetrainMethod:
        method = make()
        method.__class__ = mutant
        return method

    return mutated


def dropping(*keys: str) -> type[SML]:
    """SML that does not save part of its state."""

    class Forgetful(SML):
        def extra_state(self):
            return {**super().extra_state(), **dict.fromkeys(keys)}

        def load_extra_state(self, state):
            missing = {key: super(Forgetful, self).extra_state()[key] for key in keys}
            super().load_extra_state({**state, **missing})

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


@pytest.mark.parametrize("key", ["transfer", "fresh_optimizer", "transfer_optimizer", "previous", "fresh"])
def test_an_sml_that_forgets_part_of_its_state_is_caught(key, tmp_path: Path):
    with pytest.raises(AssertionError):
        resumes_where_it_stopped(with_class("sml", dropping(key)), tmp_path / "stream")
