"""Questions about a downstream task: which label has this user, by what he had in the source (peterrec.md, a, h)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Histories
from recretrain.data.questions import Card, GivesHistories, latest
from recretrain.data.repeats import had_before
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import DataError
from recretrain.values import AtLeast0, AtLeast1


@dataclass(frozen=True, kw_only=True)
class Downstream(GivesHistories):
    """Every row is a question, with the user's last items in the space of the first period: the source.

    Its label is ranked against `candidates` other labels, drawn uniformly and with replacement, and against all of
    them. The items of the period's space that are known by then are the labels, be they items or classes.
    """

    candidates: AtLeast1  # other labels drawn for each question
    history: AtLeast1 | None  # last items in the source, given along; None: the last one alone
    seed: AtLeast0  # of the candidates

    @property
    def kind(self) -> type[Histories]:
        return Histories

    def card(self) -> Card:
        return {
            "kind": "labels",
            "text": f"1 + {self.candidates} negatives and all labels",
            "unit": "questions (labels)",
            "candidates": self.candidates,
            "seed": self.seed,
        }

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> Histories:
        rows = stream.interactions(period).rows(stream.positions(period, part))
        labels = stream.known_items(period)
        if len(labels) < 2:
            raise DataError(
                f"period {stream[period].name} of {stream.name} has one label alone; a task needs two or more to "
                "choose from"
            )
        return Histories(
            period=period,
            user=rows.user,
            labels=rows.item,
            candidates=self._others(rows.item, labels, [self.seed, period, _number(part)]),
            catalogue=labels,
            history=latest(_source_rows(stream, period, part), rows.user, self.history or 1),
        )

    def space_before(self, stream: Stream, period: int) -> int:
        """The space of the source, whatever task is asked about."""
        return stream.space(0)

    def _others(self, label: Tensor, labels: Tensor, seed: list[int]) -> Tensor:
        """Labels other than each question's own; other labels of its user may be among them.  # [Q, C] int32"""
        shape = (len(label), self.candidates)
        drawn = torch.from_numpy(np.random.default_rng(seed).integers(len(labels) - 1, size=shape, dtype=np.int32))
        own = torch.searchsorted(labels, label).unsqueeze(1)
        return labels.to(torch.int32)[drawn + (drawn >= own)]


def _source_rows(stream: Stream, period: int, part: str | None) -> Interactions:
    """The rows of the source before `part` of the period, in order."""
    source = stream.space(0)
    if stream.space(period) == source:
        return had_before(stream, period, part)
    return stream.before(period, source)


def _number(part: str | None) -> int:
    return len(PARTS) if part is None else PARTS.index(part)
