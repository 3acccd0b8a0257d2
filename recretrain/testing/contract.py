"""The contract of a retraining method, as checks that any method can be put to, one's own too.

A `Case` is a method of conf/method, small and quick, on generated data, under a schedule and questions that it names;
`cases(name)` gives one for every kind of question and schedule that the method is for. `recretrain.testing.CHECKS` are
these checks and those of `unusual`. In a test of one's own:

    @pytest.mark.parametrize("case", cases("mine", "hydra.searchpath=[file:///my/conf]"), ids=str)
    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_method(case, check, tmp_path):
        check(case, tmp_path)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf, open_dict
from torch import Tensor

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose
from recretrain.data.kinds import ColdUserRatings, Histories, Rankings, Ratings, SupportedRatings, TestSet
from recretrain.data.schedule import OwnTests, Schedule, Task
from recretrain.data.stream import PARTS, Stream
from recretrain.engine.build import Settings, check_kinds, kinds_of, method_of, plain
from recretrain.engine.fitter import Fitter
from recretrain.engine.seeds import seed_task
from recretrain.evaluation.base import Evaluator
from recretrain.methods.base import RetrainMethod
from recretrain.testing.streams import Slices, tasteful_slices, write_stream, write_texts

CPU = torch.device("cpu")
USERS, ITEMS, PERIODS, CANDIDATES = 40, 60, 7, 20

SMALL: Mapping[str, Mapping[str, Any]] = {  # wherever the configuration has such a key and the case does not set it
    "method": {
        "loops": 3,
        "epochs": 2,
        "hidden": 16,
        "learning_rate": 0.01,
        "learning_rates": [0.01],
        "ranks": [4],
        "penalties": [10.0],
        "sweeps": 3,
        "item_shrinkages": [2.0, 10.0],
        "user_shrinkages": [5.0],
        "least_steps": 40,
        "fisher_exemplars": 20,
    },
    "backbone": {"embedding_size": 8, "init_std": 0.1, "filters": 8, "aspects": 2, "aspect_size": 4},
    "eval": {"candidates": CANDIDATES, "shortest": 3, "queries": 1, "supports": [2]},
}
AS_THEY_ARE = ("local", "pretraining")  # nodes of a method: a step size of another kind, and all that frozen learns
ASKED: Sequence[tuple[str, type[TestSet], str]] = (  # an option of eval, the kind it asks at most, and of schedule
    ("sampled", Histories, "next_period"),
    ("full", Histories, "next_period"),
    ("prefixes", Histories, "next_period"),
    ("sampled", Histories, "own_tests"),
    ("episodes", SupportedRatings, "next_period"),
    ("episodes", SupportedRatings, "states"),
    ("cold_ratings", Ratings, "own_tests"),
    ("cold_users", ColdUserRatings, "own_tests"),
    ("cold_users", ColdUserRatings, "next_period"),
)


@dataclass(frozen=True)
class Case:
    """A method, and how it is asked. `overrides` are those of `recretrain run`."""

    name: str
    overrides: tuple[str, ...]
    settings: Settings
    evaluator: Evaluator
    schedule: Schedule

    def __str__(self) -> str:
        return "-".join([self.name, *(word.replace("=", ":") for word in self.overrides if "searchpath" not in word)])

    def method(self, stream: Stream) -> RetrainMethod[Any]:
        """The method anew, with its first weights."""
        return method_of(self.settings, stream, 0, CPU)

    def stream(
        self, folder: Path, slices: Slices | None = None, parts: Sequence[Sequence[int]] | None = None
    ) -> Stream:
        """A small stream; parted where the schedule asks for tests of a period's own."""
        rows = slices or slices_of(0)
        parted = isinstance(self.schedule, OwnTests) and self.schedule.learned is None
        if parted and parts is None:
            parts = [parts_of(len(users), seed=index) for index, (users, _) in enumerate(rows)]
        if issubclass(self.evaluator.questions.kind, ColdUserRatings):
            return Stream(two_domains(folder, rows, parts), self.evaluator.questions)
        return Stream(write_stream(folder, rows, n_users=USERS, n_items=ITEMS, parts=parts), self.evaluator.questions)

    def tasks(self, stream: Stream) -> list[Task]:
        return [make() for make in self.schedule.tasks(stream, lambda what, rows: None)]

    def answers(self, method: RetrainMethod[Any], test: TestSet, *, at_once: int | None = None) -> Tensor:
        """One rank or some ratings a question; so many questions asked together."""
        chunks = torch.split(torch.arange(len(test)), at_once or len(test))
        kept = [self.evaluator.answer(method, 0, "test", test.at(chunk), CPU).kept for chunk in chunks]
        name = f"{test.period}_test" + ("_predicted" if isinstance(test, Ratings) else "")
        return torch.cat([torch.from_numpy(np.asarray(part[name])) for part in kept])


def case(name: str, *overrides: str) -> Case:
    """The method of that name with the overrides, small and quick where they do not say otherwise."""
    data = ["data=table", "data.path=none", "data.name=none", "data.source=raw"]
    config, choices = compose([*overrides, f"method={name}", *data])
    given = {word.lstrip("+").partition("=")[0] for word in overrides}
    with open_dict(config):
        for group, values in SMALL.items():
            _shrink(config[group], values, given, group)
        if choices["eval"].startswith("episodes"):
            _shrink(config.method, {"batch_size": 8}, given, "method")
        if "stopping" in (config.method.get("learner") or {}):  # many steps an epoch, as each epoch costs a fit
            cold = choices["eval"].startswith("cold_users")  # reviews are read slowly, and biases learn without them
            quick = {"batch_size": 64, "least_steps": 8} if cold else {"batch_size": 16, "items": "softmax"}
            _shrink(config.method.learner, quick, given, "method.learner")
        if choices["schedule"] == "next_period":
            short = {"start": 2, "first_test": 4, "choosing": 1, "warm_up": "start"}
            _shrink(config.schedule, short, given, "schedule")
    OmegaConf.resolve(config)
    settings = Settings(plain(config.backbone), plain(config.method), plain(config.eval.questions))
    evaluator = build(config.eval, "eval")
    check_kinds(settings, evaluator, choices)
    return Case(name, overrides, settings, evaluator, build(config.schedule, "schedule"))


def cases(name: str, *overrides: str) -> list[Case]:
    """One case for every kind of questions and schedule that the method is for."""
    wanted = kinds_of(case(name, *overrides).settings)
    fitting = [
        (option, schedule)
        for option, kind, schedule in ASKED
        if all(issubclass(kind, one) for one in wanted) and (option != "prefixes" or Histories in wanted)
    ]
    return [case(name, *overrides, f"eval={option}", f"schedule={schedule}") for option, schedule in fitting]


def _shrink(node: Any, values: Mapping[str, Any], given: set[str], path: str) -> None:
    """Set the values wherever the node, or one below it, has such a key that was not given."""
    if not isinstance(node, DictConfig):
        return
    for key in list(node):
        inner = f"{path}.{key}"
        if inner in given:
            continue
        if key in values and not isinstance(node[key], DictConfig):
            node[key] = values[key]
        elif isinstance(node[key], DictConfig) and key not in AS_THEY_ARE:
            _shrink(node[key], values, given, inner)


def slices_of(seed: int) -> Slices:
    return tasteful_slices(PERIODS, 150, n_users=USERS, n_items=ITEMS, seed=seed)


def two_domains(folder: Path, slices: Slices, parts: Sequence[Sequence[int]] | None) -> Path:
    """The rows in two domains, those of the source as context, with texts.

    What is valid or test is of the target. Without parts users come to the target period by period, half of them in
    the last one, so that enough is asked of cold users there.
    """
    train, context = PARTS.index("train"), PARTS.index("context")
    moved, given = [], []
    for index, (users, items) in enumerate(slices):
        user, item = np.asarray(users), np.asarray(items)
        part = np.full(len(user), train) if parts is None else np.asarray(parts[index])
        target = item // 2 % 2 == 1
        comes = np.minimum(user % (2 * PERIODS - 1), PERIODS - 1)
        wanted = (target & (comes <= index)) if parts is None else (target | (part != train))
        item = np.where(target == wanted, item, np.where(wanted, item + 2, item - 2)) % ITEMS
        part = np.where(wanted, part, context)
        order = np.argsort(part != context, kind="stable")  # a period is about the space of its last row
        moved.append((user[order].tolist(), item[order].tolist()))
        given.append(part[order].tolist())
    spaces = {name: [i for i in range(ITEMS) if i // 2 % 2 == place] for place, name in enumerate(("source", "target"))}
    write_stream(folder, moved, n_users=USERS, n_items=ITEMS, parts=given, spaces=spaces)
    return write_texts(folder, moved)


def parts_of(rows: int, seed: int) -> list[int]:
    """Three of five rows to learn from, one valid, one test; in no order."""
    place = np.random.default_rng(seed).permutation(rows) * 5 // rows
    names = ("train", "train", "train", "valid", "test")
    return [PARTS.index(names[fifth]) for fifth in place]


def learn(method: RetrainMethod[Any], task: Task) -> None:
    method.update(task, Fitter(CPU, seed_task(0, task.index, CPU), "32-true"))


def through_a_file(state: Mapping[str, Any], device: torch.device | None = None) -> dict[str, Any]:
    """The state as a run that was stopped gets it back, there or on another device."""
    file = io.BytesIO()
    torch.save(dict(state), file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
    return loaded


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and torch.equal(left, right)
    if isinstance(left, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def turned(test: TestSet) -> TestSet:
    """The same questions with their candidates the other way round."""
    if isinstance(test, Ratings):
        return replace(test, items=test.items.flip(1), labels=test.labels.flip(1))
    if isinstance(test, Rankings) and test.candidates is not None:
        return replace(test, candidates=test.candidates[:].flip(1))
    return test


def never_asks_for_its_tests(case: Case, folder: Path) -> None:
    def forbidden() -> Any:
        raise AssertionError("the method looked at its tests")

    stream = case.stream(folder)
    method = case.method(stream)
    for task in case.tasks(stream):
        learn(method, replace(task, tests=forbidden, again=forbidden))


def knows_nothing_of_later_periods(case: Case, folder: Path) -> None:
    """The state after a period is the same whatever the next one holds."""
    real = _states(case, folder / "real", slices_of(0), 5)
    for known in (4, 5):
        forked = _states(case, folder / f"forked{known}", [*slices_of(0)[:known], *slices_of(1)[known:]], known)
        assert forked
        last = max(forked)
        assert same(forked[last], real[last]), f"the state after period {last} depends on later ones"


def _states(case: Case, folder: Path, slices: Slices, known: int) -> dict[int, dict[str, Any]]:
    """The state after each period before `known`."""
    stream = case.stream(folder, slices)
    method, states = case.method(stream), {}
    for task in case.tasks(stream):
        if task.period.index < known:
            learn(method, task)
            states[task.period.index] = through_a_file(method.state_dict())
    return states


def learns_nothing_from_its_own_tests(case: Case, folder: Path) -> None:
    """Where a period has tests of its own, the state after it is the same whatever they ask."""
    if not (isinstance(case.schedule, OwnTests) and case.schedule.learned is None):
        return
    states = []
    for name, every in (("real", 1), ("other", 2)):
        slices, parts = [], []
        for index, (users, items) in enumerate(slices_of(0)):
            part = parts_of(len(users), seed=index)
            asked = [row for row, of in enumerate(part) if of == PARTS.index("test")]
            new = list(items)
            for place, row in enumerate(asked):
                new[row] = items[asked[place // every]]  # other items, and others how often
            slices.append((users, new))
            parts.append(part)
        stream = case.stream(folder / name, slices, parts)
        method = case.method(stream)
        for task in case.tasks(stream)[:3]:
            learn(method, task)
        states.append(through_a_file(method.state_dict()))
    assert same(*states), "the state depends on the questions of the period's own tests"


def resumes_where_it_stopped(case: Case, folder: Path) -> None:
    """A method rebuilt from its saved state before every task learns and answers as an unbroken one does."""
    stream = case.stream(folder)
    unbroken, state = case.method(stream), None
    for task in case.tasks(stream):
        learn(unbroken, task)
        resumed = case.method(stream)
        if state is not None:
            resumed.load_state_dict(state)
        learn(resumed, task)
        state = through_a_file(resumed.state_dict())
        assert same(state, through_a_file(unbroken.state_dict())), f"task {task.index}: the resumed state differs"
        assert same(list(resumed.notes()), list(unbroken.notes())), f"task {task.index}: the resumed notes differ"
        for test in task.tests().values():
            assert torch.equal(case.answers(resumed, test), case.answers(unbroken, test))


def answers_each_question_by_itself(case: Case, folder: Path) -> None:
    """Answers do not depend on the order of questions or candidates, nor on other questions asked together."""
    stream = case.stream(folder)
    method = case.method(stream)
    for task in case.tasks(stream):
        learn(method, task)
        for test in task.tests().values():
            order = torch.randperm(len(test), generator=torch.Generator().manual_seed(1))
            found = case.answers(method, turned(test.at(order)), at_once=7)
            asked = case.answers(method, test)[order]
            if isinstance(test, Ratings):  # ratings may round otherwise in other company, ranks may not change
                close = torch.allclose(found, asked.flip(1), atol=1e-5)
            else:
                close = torch.equal(found, asked)
            assert close, "answers depend on the order asked"


def is_unchanged_by_being_asked(case: Case, folder: Path) -> None:
    stream = case.stream(folder)
    method = case.method(stream)
    for task in case.tasks(stream):
        learn(method, task)
        before = through_a_file(method.state_dict())
        for test in task.tests().values():
            case.answers(method, test)
        assert same(before, through_a_file(method.state_dict())), "answering questions changed the state"


def leaves_its_data_alone(case: Case, folder: Path) -> None:
    stream = case.stream(folder)
    method = case.method(stream)
    for task in case.tasks(stream):
        before = task.period.train.user.clone(), task.period.train.item.clone()
        learn(method, task)
        assert torch.equal(task.period.train.user, before[0]), "the update changed its users"
        assert torch.equal(task.period.train.item, before[1]), "the update changed its items"


def learns_something(case: Case, folder: Path) -> None:
    """After its last period, better than chance on data where half of the items never suit a user.

    Not asked of states: what is learned of a single period is too little to tell.
    """
    if isinstance(case.schedule, OwnTests) and case.schedule.learned is not None:
        return
    stream = case.stream(folder)
    method = case.method(stream)
    for task in case.tasks(stream):
        learn(method, task)
    test = task.tests()["test"]
    answers = case.answers(method, test).double()
    if isinstance(test, Ratings):
        error, constant = (answers - test.labels).abs().mean(), (test.labels.mean() - test.labels).abs().mean()
        assert float(error) < 0.9 * float(constant), "ratings are foreseen no better than by their mean"
    else:
        assert isinstance(test, Rankings)
        offered = CANDIDATES if test.catalogue is None else len(test.catalogue)
        assert float(answers.mean()) / 2 < 0.4 * offered, "labels rank no better than chance"


Check = Callable[[Case, Path], None]

ORDINARY: Sequence[Check] = (
    never_asks_for_its_tests,
    knows_nothing_of_later_periods,
    learns_nothing_from_its_own_tests,
    resumes_where_it_stopped,
    answers_each_question_by_itself,
    is_unchanged_by_being_asked,
    leaves_its_data_alone,
    learns_something,
)
