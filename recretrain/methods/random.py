"""Chance: every user and item have a number that is as good as drawn (peterrec.md, f)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recretrain.backbones.item_scores import ItemScores
from recretrain.data.kinds import Questions
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit, Note, RetrainMethod

_STEP, _FIRST, _SECOND = -0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15  # as signed numbers of 64 bits


class Random(RetrainMethod[ItemScores]):
    """Scores within [0, 1) that depend on user, item and the run's seed alone: docs/methods/peterrec.md (f).

    So a question has one answer whatever is asked beside it, and it is the same in every period.
    """

    kept = ("key",)

    def __init__(self, *, backbone: ItemScores) -> None:
        super().__init__(backbone=backbone)
        self.key = torch.zeros((), dtype=torch.int64, device=backbone.device)

    def update(self, task: Task, fit: Fit) -> None:
        if not task.past:
            self.key = torch.randint(2**62, (), generator=fit.generator, device=fit.device)

    def score(self, questions: Questions) -> Tensor:
        user = mixed(questions.user * _STEP + self.key).unsqueeze(1)
        return _shifted(mixed(user + questions.offered * _STEP), 11).double() * 0.5**53

    def notes(self) -> Sequence[Note]:
        """No later task changes what is answered for an earlier one."""
        return (Note("fixed_answers", 0, 1.0),)


def mixed(number: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al., OOPSLA 2014): each bit of the result depends on all given bits."""
    number = (number ^ _shifted(number, 30)) * _FIRST
    number = (number ^ _shifted(number, 27)) * _SECOND
    return number ^ _shifted(number, 31)


def _shifted(number: Tensor, bits: int) -> Tensor:
    """A shift to the right that fills up with zeros, also below zero."""
    return (number >> bits) & ((1 << 64 - bits) - 1)
