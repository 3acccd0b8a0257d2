"""An evaluator asks a method the questions of a test set, measures its answers, and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy.typing as npt
import torch
from torch import Tensor

from recretrain.data.kinds import Questions, TestSet
from recretrain.data.stream import Asks
from recretrain.records import Row, ranks_key

Arrays = dict[str, npt.NDArray[Any]]


class Scorer(Protocol):
    def score(self, questions: Questions) -> Tensor:
        """[B, C] scores, higher is better; or [B, n] ratings."""


class Answer(NamedTuple):
    rows: list[Row]
    kept: Arrays  # under the names of `records.ranks_key`, from which any figure can be made


class Evaluator(Protocol):
    """Asks and measures (conf/eval)."""

    questions: Asks

    def answer(self, scorer: Scorer, task: int, name: str, test: TestSet, device: torch.device) -> Answer:
        """Figures and answers of a test set that `questions` made; `name` is its role, choosing or test.

        Raises Mistake where a score is NaN.
        """


def groups_of(test: TestSet) -> Iterator[tuple[str, Tensor]]:
    """All questions, then each group that is reported apart.  # name, [Q] bool"""
    yield "all", torch.ones(len(test), dtype=torch.bool)
    yield from ((group, members.cpu()) for group, members in test.groups.items())


def owners_of(test: TestSet, name: str) -> Arrays:
    """Whose each question is, and who belongs to each group."""
    members = {f":{group}": members.cpu().numpy() for group, members in test.groups.items()}
    kept = {"_user": test.user.int().cpu().numpy(), **members}
    return {ranks_key(test.period, name, what): array for what, array in kept.items()}
