"""What methods of other families need of the contract, each by a toy that uses it and a mutant that breaks it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recretrain.backbones.base import frozen
from recretrain.backbones.item_scores import ItemScores
from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.tables import take
from recretrain.data.batches import Alternating, Columns
from recretrain.data.kinds import Rankings
from recretrain.data.questions import Arrivals
from recretrain.data.schedule import OwnTests, Task
from recretrain.data.stream import Stream
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.engine.seeds import seed_task
from recretrain.evaluation.rankings import RankEvaluator
from recretrain.methods.base import Fit, RetrainMethod
from recretrain.methods.objective import Objective
from recretrain.testing import write_stream
from recretrain.testing.contract import CPU, learn

USERS = 12
SPACES = {"films": range(10), "books": range(10, 14), "ages": range(14, 17)}
# period 0 is a log of films; then two downstream tasks: which book (always 12), and which age (always 15)
ROWS = [
    (list(range(USERS)) * 2, [user % 10 for user in range(USERS)] + [(user + 3) % 10 for user in range(USERS)]),
    ([*range(USERS), 0, 1], [12] * USERS + [10, 11]),
    ([*range(USERS), 0, 1], [15] * USERS + [14, 16]),
]
PARTS = [[0] * 2 * USERS, [0] * 6 + [1] * 2 + [2] * 4 + [0, 0], [0] * 6 + [1] * 2 + [2] * 4 + [0, 0]]
ASKS = Arrivals(candidates=None, catalogue="full", history=3, history_space="films", had="left_out", seed=0)


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    folder = write_stream(tmp_path / "s", ROWS, n_users=USERS, n_items=17, parts=PARTS, spaces=SPACES)
    return Stream(folder, ASKS)


def tasks(stream: Stream) -> list[Task]:
    return [make() for make in OwnTests(learned=None).tasks(stream, lambda what, rows: None)]


class Patched(RetrainMethod[ItemScores]):
    """A trunk of counts that the first period makes, and a patch of counts for each task after it."""

    kept = ("patches",)

    def __init__(self, *, backbone: ItemScores, periods: int) -> None:
        super().__init__(backbone=backbone)
        self.patches = torch.zeros(periods, len(backbone.scores), dtype=torch.float64)

    def update(self, task: Task, fit: Fit) -> None:
        counts = torch.bincount(task.period.train.item, minlength=self.patches.shape[1]).double()
        if task.past:
            self.patches[task.period.index] = counts
        else:
            self.backbone.scores.copy_(counts)

    def score(self, questions: Any) -> Tensor:
        scores = self.backbone.scores + self.patches[self.patch_of(questions)]
        return scores[questions.catalogue].expand(len(questions.user), -1)

    def patch_of(self, questions: Any) -> int:
        return questions.period


class OfAnotherTask(Patched):
    def patch_of(self, questions: Any) -> int:
        return questions.period - 1


def recalls(stream: Stream, kind: type[Patched]) -> dict[str, float]:
    method = kind(backbone=ItemScores(vocabulary=stream.vocabulary), periods=len(stream))
    evaluator = RankEvaluator(questions=ASKS, ks=[1], metrics=["recall"])
    found = {}
    for task in tasks(stream):
        learn(method, task)
        for name, test in task.tests().items():
            rows, kept = evaluator.answer(method, task.index, name, test, CPU)
            found |= {f"{task.period.name}_{name}": row.value for row in rows if row.group == "all"}
            assert f"{task.period.index}_{name}" in kept, "answers of two tests of one period must not meet"
    return found


def test_a_class_is_an_item_of_its_space_and_accuracy_is_recall_at_1(stream: Stream) -> None:
    book, age = (task.tests()["test"] for task in tasks(stream)[1:])

    assert (book.catalogue.tolist(), age.catalogue.tolist()) == ([10, 11, 12], [14, 15, 16])
    assert recalls(stream, Patched) == {"1_choosing": 1.0, "1_test": 1.0, "2_choosing": 1.0, "2_test": 1.0}


def test_a_head_that_answers_with_another_task_s_patch_is_seen(stream: Stream) -> None:
    assert recalls(stream, OfAnotherTask)["2_test"] < 1.0


def test_histories_are_of_the_space_that_is_named(stream: Stream) -> None:
    (_, book, _) = tasks(stream)
    test = book.tests()["test"]

    assert test.user.tolist() == [8, 9, 10, 11]
    assert test.history.tolist() == [[8, 1], [9, 2], [0, 3], [1, 4]]  # the two films of each


class Bias(Objective[tuple[Tensor, Tensor, Tensor]]):
    """The log loss of a frozen trunk with a trained bias for each item."""

    def __init__(self, trunk: MF, bias: nn.Parameter, optimizer: Any, freeze: bool) -> None:
        super().__init__(optimizer)
        self.trunk, self.bias, self.freeze = trunk, bias, freeze

    def loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        user, item, other = batch
        if self.freeze:
            with frozen(self.trunk):
                return self._loss(user, item, other)
        return self._loss(user, item, other)

    def _loss(self, user: Tensor, item: Tensor, other: Tensor) -> Tensor:
        u, i, j = take(self.trunk.user, user), take(self.trunk.item, item), take(self.trunk.item, other)
        margin = ((u * (i - j)).sum(1)) + take(self.bias, item)[:, 0] - take(self.bias, other)[:, 0]
        return -torch.nn.functional.logsigmoid(margin).mean()


class FrozenTrunk(RetrainMethod[MF]):
    """A trunk that no task changes, and biases that each trains."""

    freeze = True

    def __init__(self, *, backbone: MF) -> None:
        super().__init__(backbone=backbone)
        self.bias = nn.ParameterList([nn.Parameter(torch.zeros(len(backbone.item), 1))])
        self.adam = DenseAdam([*self.bias.parameters(), *backbone.parameters()], learning_rate=0.1)

    def update(self, task: Task, fit: Fit) -> None:
        rows = task.period.train
        columns = [rows.user, rows.item, rows.item.flip(0)]
        batches = Columns(columns, batch_size=4, generator=fit.generator)
        fit(Bias(self.backbone, self.bias[0], self.adam, self.freeze), batches, epochs=2)

    def trained_parameters(self) -> int:
        return sum(p.numel() for p in self.bias.parameters())


class Thawed(FrozenTrunk):
    freeze = False


def trunk_after(stream: Stream, kind: type[FrozenTrunk]) -> tuple[list[Tensor], FrozenTrunk]:
    mf = MF(vocabulary=stream.vocabulary, embedding_size=4, init_std=0.1)
    before = [weight.detach().clone() for weight in mf.parameters()]
    method = kind(backbone=mf)
    for task in tasks(stream):
        learn(method, task)
    return before, method


def test_a_frozen_trunk_does_not_move_and_is_not_counted_as_trained(stream: Stream) -> None:
    before, method = trunk_after(stream, FrozenTrunk)

    assert all(torch.equal(old, new) for old, new in zip(before, method.backbone.parameters(), strict=True))
    assert bool((method.bias[0] != 0).any())
    assert method.trained_parameters() == 17
    assert all(weight.grad is None for weight in method.backbone.parameters()), "a frozen table still gets a gradient"


def test_a_trunk_that_moved_is_seen(stream: Stream) -> None:
    before, method = trunk_after(stream, Thawed)

    assert not all(torch.equal(old, new) for old, new in zip(before, method.backbone.parameters(), strict=True))


class TwoFlows(Objective[tuple[int, tuple[Tensor, ...]]]):
    """Notes which flow each step was of."""

    def __init__(self, weight: nn.Parameter, optimizer: Any) -> None:
        super().__init__(optimizer)
        self.weight, self.steps = weight, []

    def loss(self, batch: tuple[int, tuple[Tensor, ...]]) -> Tensor:
        flow, (value,) = batch
        self.steps.append((flow, sorted(value.tolist())))
        return (self.weight - value).pow(2).mean()


def test_two_flows_take_turns_with_a_step_each() -> None:
    generator = seed_task(0, 0, CPU)
    flows: Sequence[Columns] = [
        Columns([torch.arange(6.0)], batch_size=2, generator=generator),
        Columns([torch.arange(10.0, 12.0)], batch_size=2, generator=generator),
    ]
    weight = nn.Parameter(torch.zeros(()))
    objective = TwoFlows(weight, torch.optim.SGD([weight], lr=0.1))

    Fitter(CPU, generator, "32-true")(objective, Alternating(*flows), epochs=1)

    assert [flow for flow, _ in objective.steps] == [0, 1, 0, 1, 0, 1]
    assert sorted(x for flow, values in objective.steps if flow == 0 for x in values) == list(range(6))
    assert [values for flow, values in objective.steps if flow == 1] == [[10.0, 11.0]] * 3  # begins anew
    expected = 0.0
    for _, values in objective.steps:
        expected -= 0.1 * 2 * (expected - float(np.mean(values)))
    assert float(weight.detach()) == pytest.approx(expected, abs=1e-5)


def test_an_empty_flow_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one batch"):
        Alternating()


def test_a_vocabulary_names_its_spaces(stream: Stream) -> None:
    vocabulary: Vocabulary = stream.vocabulary

    assert vocabulary.spaces == ("films", "books", "ages")
    assert vocabulary.item_space.tolist() == [0] * 10 + [1] * 4 + [2] * 3
    assert isinstance(stream.questions(1), Rankings)
