"""Ratings from what users wrote in the source domain and what was written about items (catn.md, b, e)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from recretrain.data.documents import Texts, joined_texts
from recretrain.data.kinds import Questions
from recretrain.data.schedule import Task
from recretrain.methods.base import B, Fit
from recretrain.methods.cross_domain import CrossDomain
from recretrain.methods.parts.reviews import SOURCE, Reviews
from recretrain.methods.parts.search import HeldOut
from recretrain.values import Part

Kind = Literal["user", "item"]

_TOGETHER = 256  # documents that are read at once where nothing is learned


class ByReviews(CrossDomain[B], ABC):
    """Documents grow with the periods, and answers are from vectors of documents that are computed once.

    `learn` begins with `read_but`; it is `rated` of the kept vectors that is measured and answered.
    """

    def __init__(
        self,
        *,
        backbone: B,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
        validation: Part,
        nothing_written: Callable[[], Reviews],
    ) -> None:
        """`nothing_written`: makes the documents as they are at first."""
        super().__init__(backbone=backbone, reads=reads, start=start, validation=validation)
        self._nothing_written = nothing_written
        self.reviews = nothing_written()
        self._unread: Texts | None = None
        self._vectors: dict[Kind, tuple[Tensor, Tensor]] = {}  # of all owners: [n, v], and who has one: [n]

    @abstractmethod
    def vectors(self, kind: Kind, owners: Tensor) -> Tensor:
        """Vectors of the documents of some users, as they are in the source, or items.  # [D] -> [D, v]"""

    @abstractmethod
    def rated(self, user: Tensor, item: Tensor, of_user: Tensor, of_item: Tensor) -> Tensor:
        """Ratings of the target's items, from vectors.  # [B, 1], [B, n], [.., v], [.., v] -> [B, n]; all [N] -> [N]"""

    def update(self, task: Task, fit: Fit) -> None:
        """Documents grow by the period's texts, whatever is learned of them."""
        self._vectors, self._unread = {}, task.period.texts
        super().update(task, fit)
        self.reviews.add(self._unread, fit.generator)
        self._vectors, self._unread = {}, None

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        assert questions.candidates is not None
        return self._rated(questions.user.unsqueeze(1), questions.candidates)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._vectors = {}
        super().load_state_dict(state)

    def read_but(self, held_out: HeldOut, task: Task, fit: Fit) -> None:
        """Read the texts, of all periods if all are learned; those of held-out ratings wait until it is done."""
        assert self._unread is not None
        written = self._unread
        if self.reads == "all" and task.past:
            self.reviews = self._nothing_written()
            written = joined_texts([*(period.texts for period in task.past), written])
        items = len(self.reviews.of_item)
        held = (held_out.user * items + held_out.item).to(written.rows.user.device)
        last = torch.isin(written.rows.user * items + written.rows.item, held)
        now, self._unread = (
            Texts(written.rows.rows(at), written.tokens.at(at))
            for at in (torch.nonzero(kind).squeeze(1) for kind in (~last, last))
        )
        self.reviews.add(now, fit.generator)

    @torch.no_grad()
    def error(self, held_out: HeldOut) -> float:
        """The squared error of held-out ratings with the weights as they are now."""
        self._vectors = {}
        return held_out.error(self._rated(held_out.user, held_out.item))

    def _rated(self, user: Tensor, item: Tensor) -> Tensor:
        return self.rated(user, item, self._kept("user", user), self._kept("item", item))

    def _kept(self, kind: Kind, ids: Tensor) -> Tensor:
        """Vectors of users or items, each computed when it is first asked for.  # [...] -> [..., v]"""
        if kind not in self._vectors:
            owners = len(self.reviews.of_user(SOURCE) if kind == "user" else self.reviews.of_item)
            nothing = torch.zeros_like(self.vectors(kind, ids.new_zeros(1))).repeat(owners, 1)
            self._vectors[kind] = nothing, torch.zeros_like(nothing[:, 0], dtype=torch.bool)
        vectors, known = self._vectors[kind]
        missing = torch.unique(ids[~known[ids]])
        for some in torch.split(missing, _TOGETHER) if len(missing) else ():
            vectors[some] = self.vectors(kind, some)
        known[missing] = True
        return vectors[ids]
