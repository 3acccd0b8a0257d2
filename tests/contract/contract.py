"""What every retraining method promises; each check is seen to fail on a deliberate mutant in test_mutants.py."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf, open_dict
from streams import open_stream, tasteful_slices, write_stream
from torch import Tensor

from recretrain.config import compose
from recretrain.data.cut import ByCount
from recretrain.data.schedule import NextPeriod, Task
from recretrain.data.stream import Stream
from recretrain.engine.fitter import Fitter
from recretrain.engine.runner import build, load_state, state_of
from recretrain.engine.seeds import BUILD, seed_task
from recretrain.evaluation.evaluator import half_ranks
from recretrain.methods.base import RetrainMethod

CPU = torch.device("cpu")
USERS, ITEMS, PERIODS = 40, 60, 7
QUICK = {
    "loops": 3,
    "epochs": 2,
    "transfer_hidden": 16,
    "transfer_learning_rate": 0.01,
    "learning_rate": 0.01,
}  # set wherever a method has such an option
Make = Callable[[], RetrainMethod]


def slices(seed: int = 0) -> Any:
    return tasteful_slices(PERIODS, 150, n_users=USERS, n_items=ITEMS, seed=seed)


def stream_of(folder: Path, parts: Any = None) -> Stream:
    return open_stream(write_stream(folder, parts or slices(), n_users=USERS, n_items=ITEMS), history=20)


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
        config.schedule.first_test = 4
    OmegaConf.resolve(config)

    def make() -> RetrainMethod:
        seed_task(0, BUILD, CPU)
        backbone = build(config.backbone, "backbone", n_users=USERS, n_items=ITEMS)
        method = build(config.method, "method", backbone=backbone)
        assert isinstance(method, RetrainMethod)
        return method

    return make


def tasks(stream: Stream) -> Sequence[Task]:
    schedule = NextPeriod(
        cut=ByCount(periods=PERIODS), start=2, first_test=4, choosing=1, warm_up="start", last_test=None
    )
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

    method = make()
    for task in tasks(stream_of(folder)):
        learn(method, replace(task, tests=forbidden))


def knows_nothing_of_later_periods(make: Make, folder: Path) -> None:
    """What is learned by the end of a period is the same whatever the next one holds."""
    real, other = slices(), slices(seed=1)
    for known in (4, 5):
        forked = [*real[:known], *other[known:]]
        states = []
        for name, parts in (("real", real), ("forked", forked)):
            method = make()
            for task in tasks(stream_of(folder / f"{known}{name}", parts)):
                if task.period.index < known:
                    learn(method, task)
            states.append(through_a_file(state_of(method)))
        assert same(*states), f"what was learned up to period {known - 1} depends on period {known}"


def resumes_where_it_stopped(make: Make, folder: Path) -> None:
    """A method rebuilt from its saved state before every task learns and answers what an unbroken one does."""
    stream = stream_of(folder)
    unbroken, state = make(), None
    for task in tasks(stream):
        learn(unbroken, task)
        resumed = make()
        if state is not None:
            load_state(resumed, state)
        learn(resumed, task)
        state = through_a_file(state_of(resumed))
        assert same(state, through_a_file(state_of(unbroken))), f"task {task.index}: the resumed state differs"
        for test in task.tests().values():
            assert torch.equal(half_ranks(resumed, test, CPU), half_ranks(unbroken, test, CPU))


def answers_each_question_by_itself(make: Make, folder: Path) -> None:
    """Ranks do not depend on the order of questions or candidates, nor on what is asked together."""
    method = make()
    for task in tasks(stream_of(folder)):
        learn(method, task)
        for test in task.tests().values():
            assert test.candidates is not None
            order = torch.randperm(len(test), generator=torch.Generator().manual_seed(1))
            columns = {"user": test.user[order], "labels": test.labels[order]}
            context = {name: column[order] for name, column in test.context.items()}
            shuffled = replace(test, **columns, candidates=test.candidates[order].flip(1), context=context, groups={})
            ranks = half_ranks(method, test, CPU)[order]
            assert torch.equal(half_ranks(method, shuffled, CPU, chunk=7), ranks), "ranks depend on the order asked"


def is_unchanged_by_being_asked(make: Make, folder: Path) -> None:
    method = make()
    for task in tasks(stream_of(folder)):
        learn(method, task)
        before = through_a_file(state_of(method))
        for test in task.tests().values():
            half_ranks(method, test, CPU)
        assert same(before, through_a_file(state_of(method))), "answering questions changed what was learned"


def leaves_its_data_alone(make: Make, folder: Path) -> None:
    method, stream = make(), stream_of(folder)
    for task in tasks(stream):
        before = task.period.train.user.clone(), task.period.train.item.clone()
        learn(method, task)
        assert torch.equal(task.period.train.user, before[0]), "the update changed its users"
        assert torch.equal(task.period.train.item, before[1]), "the update changed its items"


def learns_something(make: Make, folder: Path) -> None:
    """After its last period, better than chance on data where half of the items never suit a user."""
    method = make()
    for task in tasks(stream_of(folder)):
        learn(method, task)
    (test,) = task.tests().values()
    assert float(half_ranks(method, test, CPU).float().mean()) / 2 < 0.4 * 20, "labels rank no better than chance"


CHECKS = [
    never_asks_for_its_tests,
    knows_nothing_of_later_periods,
    resumes_where_it_stopped,
    answers_each_question_by_itself,
    is_unchanged_by_being_asked,
    leaves_its_data_alone,
    learns_something,
]
