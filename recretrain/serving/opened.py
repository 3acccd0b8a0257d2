"""A run is opened for questions about the period after the last one that it has learned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.kinds import Questions, Rankings, SupportedRatings, TestSet
from recretrain.data.stream import Asks, Stream
from recretrain.engine.finished import finished
from recretrain.serving.identities import Identities

PAIRS = 2**17  # of users and items that are rated at a time: a network holds hundreds of numbers for each


class Opened:
    """A finished run with its method, as it is after the last finished task."""

    def __init__(self, folder: Path, trusted: Sequence[str] = ()) -> None:
        """Raises ConfigError as `engine.finished` does."""
        asked, self.method, self.last = finished(folder, trusted)
        self.folder = folder
        self.device = asked.machine.device
        self.stream: Stream = asked.stream
        self.asks: Asks = asked.evaluator.questions
        self.task = asked.schedule.tasks(self.stream, lambda what, rows: None)[self.last]()

    @property
    def kind(self) -> type[TestSet]:
        """The kind of questions that the run was asked."""
        return self.asks.kind

    @property
    def period(self) -> int:
        """The last learned period."""
        return self.task.period.index

    @property
    def knows_unmet(self) -> bool:
        """Whether ids that no learned period has can be answered: those whose facts tell of them, given a support."""
        return issubclass(self.kind, SupportedRatings)

    @cached_property
    def users(self) -> Identities:
        known = torch.ones_like(self.met) if self.knows_unmet else self.met
        return Identities("user", self.stream.folder, known)

    @cached_property
    def items(self) -> Identities:
        """The items of the space that the last learned period is about."""
        return self.items_of(self.stream.space(self.period))

    def items_of(self, space: int) -> Identities:
        """The items of a space."""
        known = self.stream.vocabulary.item_space == space
        if not self.knows_unmet:
            known &= self.stream.item_first <= self.period
        return Identities("item", self.stream.folder, known)

    @property
    def met(self) -> Tensor:
        """Whether a user has appeared by the last learned period.  # [n_users] bool"""
        return self.stream.user_first <= self.period

    @cached_property
    def catalogue(self) -> Tensor:
        """The items that had appeared by the end of the last learned period.  # [I] int64, ascending"""
        return self.stream.known_items(self.period)

    def known(self, users: Tensor) -> Interactions:
        """The rows of these users in all learned periods but their tests, in order; with `rating` if all have it."""
        parts = []
        for period in (*self.task.past, self.task.period):
            rows = period.known
            parts.append(rows.rows(torch.isin(rows.user, users)))
        return concatenate(parts)

    @torch.no_grad()
    def scores(self, test: TestSet, rows: slice, items: Tensor) -> Tensor:
        """Scores, or ratings, of these items for some of the questions, on the device.  # [B, I]"""
        offered = items.to(self.device)
        if isinstance(test, Rankings):
            return self.method.score(test.asked(rows, self.device, catalogue=offered)).clone()
        width = max(1, PAIRS // (rows.stop - rows.start))
        asked = (self._rated(test, rows, some) for some in torch.split(offered, width))
        return torch.cat([self.method.score(questions).clone() for questions in asked], 1)

    def _rated(self, test: TestSet, rows: slice, items: Tensor) -> Questions:
        return test.asked(rows, self.device, candidates=items.expand(rows.stop - rows.start, -1))
