"""What every retraining method promises; each check is seen to fail on a deliberate mutant in test_mutants.py."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf, open_dict
from streams import tasteful_slices, write_stream
from torch import Tensor

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose
from recretrain.data.schedule import NextPeriod, Task
from recretrain.data.stream import Stream, TestSet
from recretrain.engine.fitter import Fitter
from recretrain.engine.runner import given, load_state, state_of
from recretrain.engine.seeds import BUILD, seed_task
from recretrain.methods.base import RetrainMethod

CPU = torch.device("cpu")
USERS, ITEMS, PERIODS = 40, 60, 7
QUICK = {
    "loops": 3,
    "epochs": 2,
    "transfer_hidden": 16,
    "transfer_learning_rate": 0.01,
    "learning_rate": 0.01,
    "fisher_exemplars": 20,
}  # set wherever a method has such an option
ASKED = {
    "candidates": 20,
    "shortest": 3,
    "queries": 1,
    "supports": [2],
}  # of the questions, where eval has such an option


@dataclass(frozen=True)
class Make:
    """Makes a method anew each time, and says how it is asked."""

    build: Callable[[Stream], RetrainMethod]
    evaluator: Any

    def __call__(self, stream: Stream) -> RetrainMethod:
        return self.build(stream)

    def stream(self, folder: Path, parts: Any = None) -> Stream:
        return Stream(write_stream(folder, parts or slices(), n_users=USERS, n_items=ITEMS), self.evaluator.asked)

    def answers(self, method: RetrainMethod, test: TestSet, *, at_once: int | None = None) -> Tensor:
        """One rank or some ratings a question; so many questions asked together."""
        parts = torch.split(torch.arange(len(test)), at_once or len(test))
        kept = [self.evaluator.answer(method, 0, "test", only(test, part), CPU)[1] for part in parts]
        (name,) = {f"{test.period}", f"{test.period}_predicted"} & kept[0].keys()
        return torch.cat([torch.from_numpy(part[name]) for part in kept])


def only(test: TestSet, rows: Tensor) -> TestSet:
    """Some of the questions, in the order of `rows`."""
    assert test.candidates is not None
    context = {name: column[rows] for name, column in test.context.items()}
    columns = {"user": test.user[rows], "labels": test.labels[rows], "candidates": test.candidates[rows]}
    return replace(test, **columns, context=context, groups={})


def turned(test: TestSet) -> TestSet:
    """The same questions with their candidates the other way round."""
    assert test.candidates is not None
    labels = test.labels.flip(1) if test.labels.dim() == 2 else test.labels
    return replace(test, candidates=test.candidates.flip(1), labels=labels)


def slices(seed: int = 0) -> Any:
    return tasteful_slices(PERIODS, 150, n_users=USERS, n_items=ITEMS, seed=seed)


def maker(name: str, *more: str, **changes: Any) -> Make:
    """A method of conf/method, small and quick."""
    config, _ = compose([*more, f"method={name}", "data=table", "data.path=none", "data.name=none", "data.source=raw"])
    with open_dict(config):
        for key, value in {**QUICK, **changes}.items():
            if key in config.method:
                config.method[key] = value
        if "embedding_size" in config.backbone:
            config.backbone.embedding_size = 8
        if "init_std" in config.backbone:
            config.backbone.init_std = 0.1
        if "queries" in config.eval and "batch_size" in config.method:
            config.method.batch_size = 8
        config.eval.update({key: value for key, value in ASKED.items() if key in config.eval})
        config.schedule.first_test = 4
    OmegaConf.resolve(config)

    def make(stream: Stream) -> RetrainMethod:
        seed_task(0, BUILD, CPU)
        backbone = build(config.backbone, "backbone", **given(stream))
        method = build(config.method, "method", backbone=backbone)
        assert isinstance(method, RetrainMethod)
        return method

    return Make(make, build(config.eval, "eval"))


def tasks(stream: Stream) -> Sequence[Task]:
    schedule = NextPeriod(start=2, first_test=4, choosing=1, warm_up="start", last_test=None)
    return [make() for make in schedule.tasks(stream, lambda what, rows: None)]


def learn(method: RetrainMethod, task: Task) -> None:
    method.update(task, Fitter(CPU, seed_task(0, task.index, CPU), "32-true"))


def through_a_file(state: Mapping[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and torch.equal(left, right)
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def never_asks_for_its_tests(make: Make, folder: Path) -> None:
    def forbidden() -> Any:
        raise AssertionError("the method looked at its tests")

    stream = make.stream(folder)
    method = make(stream)
    for task in tasks(stream):
        learn(method, replace(task, tests=forbidden))


def knows_nothing_of_later_periods(make: Make, folder: Path) -> None:
    """What is learned by the end of a period is the same whatever the next one holds."""
    real, other = slices(), slices(seed=1)
    for known in (4, 5):
        forked = [*real[:known], *other[known:]]
        states = []
        for name, parts in (("real", real), ("forked", forked)):
            stream = make.stream(folder / f"{known}{name}", parts)
            method = make(stream)
            for task in tasks(stream):
                if task.period.index < known:
                    learn(method, task)
            states.append(through_a_file(state_of(method)))
        assert same(*states), f"what was learned up to period {known - 1} depends on period {known}"


def resumes_where_it_stopped(make: Make, folder: Path) -> None:
    """A method rebuilt from its saved state before every task learns and answers what an unbroken one does."""
    stream = make.stream(folder)
    unbroken, state = make(stream), None
    for task in tasks(stream):
        learn(unbroken, task)
        resumed = make(stream)
        if state is not None:
            load_state(resumed, state)
        learn(resumed, task)
        state = through_a_file(state_of(resumed))
        assert same(state, through_a_file(state_of(unbroken))), f"task {task.index}: the resumed state differs"
        for test in task.tests().values():
            assert torch.equal(make.answers(resumed, test), make.answers(unbroken, test))


def answers_each_question_by_itself(make: Make, folder: Path) -> None:
    """Answers do not depend on the order of questions or candidates, nor on what is asked together."""
    stream = make.stream(folder)
    method = make(stream)
    for task in tasks(stream):
        learn(method, task)
        for test in task.tests().values():
            order = torch.randperm(len(test), generator=torch.Generator().manual_seed(1))
            found = make.answers(method, turned(only(test, order)), at_once=7)
            asked = make.answers(method, test)[order]
            asked = asked.flip(1) if asked.dim() == 2 else asked
            # ratings may round otherwise in other company, ranks may not change
            close = torch.allclose(found, asked, atol=1e-5) if asked.dim() == 2 else torch.equal(found, asked)
            assert close, "answers depend on the order asked"


def is_unchanged_by_being_asked(make: Make, folder: Path) -> None:
    stream = make.stream(folder)
    method = make(stream)
    for task in tasks(stream):
        learn(method, task)
        before = through_a_file(state_of(method))
        for test in task.tests().values():
            make.answers(method, test)
        assert same(before, through_a_file(state_of(method))), "answering questions changed what was learned"


def leaves_its_data_alone(make: Make, folder: Path) -> None:
    stream = make.stream(folder)
    method = make(stream)
    for task in tasks(stream):
        before = task.period.train.user.clone(), task.period.train.item.clone()
        learn(method, task)
        assert torch.equal(task.period.train.user, before[0]), "the update changed its users"
        assert torch.equal(task.period.train.item, before[1]), "the update changed its items"


def learns_something(make: Make, folder: Path) -> None:
    """After its last period, better than chance on data where half of the items never suit a user."""
    stream = make.stream(folder)
    method = make(stream)
    for task in tasks(stream):
        learn(method, task)
    (test,) = task.tests().values()
    answers = make.answers(method, test).double()
    if answers.dim() == 2:
        error, constant = (answers - test.labels).abs().mean(), (test.labels.mean() - test.labels).abs().mean()
        assert float(error) < 0.9 * float(constant), "ratings are foreseen no better than by their mean"
    else:
        assert float(answers.mean()) / 2 < 0.4 * ASKED["candidates"], "labels rank no better than chance"


CHECKS = [
    never_asks_for_its_tests,
    knows_nothing_of_later_periods,
    resumes_where_it_stopped,
    answers_each_question_by_itself,
    is_unchanged_by_being_asked,
    leaves_its_data_alone,
    learns_something,
]
