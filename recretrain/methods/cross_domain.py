"""Rows of a source domain tell the ratings of users who are new to a target domain (catn.md, a)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from recretrain.data.batches import permutation
from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.kinds import ColdUserRatings, Ratings
from recretrain.data.schedule import Task
from recretrain.data.stream import Period
from recretrain.errors import DataError
from recretrain.methods.base import B, Fit, Note, RetrainMethod
from recretrain.values import Part


@dataclass(frozen=True)
class Domains:
    """What a method has seen of both domains: rows with `rating`."""

    source: Interactions  # context rows, of all users who have any
    target: Interactions  # train rows

    @classmethod
    def of(cls, periods: Sequence[Period]) -> Domains:
        """The rows of these periods, in their order."""
        return cls(
            concatenate([_rated(period.context, period) for period in periods]),
            concatenate([_rated(period.train, period) for period in periods]),
        )

    @cached_property
    def common(self) -> Tensor:
        """Users with rows in both domains, ascending.  # [C] int64"""
        source: Tensor = torch.unique(self.source.user)
        return source[torch.isin(source, self.target.user)]

    def of_common(self, which: Literal["source", "target"]) -> Interactions:
        """The rows of one domain by users who have rows in both."""
        rows: Interactions = getattr(self, which)
        return rows.rows(torch.isin(rows.user, self.common))

    def parted(self, users: Tensor) -> tuple[Domains, Interactions]:
        """Both domains without the target rows of these users, and those rows."""
        theirs = torch.isin(self.target.user, users)
        return Domains(self.source, self.target.rows(~theirs)), self.target.rows(theirs)

    def to(self, device: torch.device) -> Domains:
        return Domains(self.source.to(device), self.target.to(device))


class CrossDomain(RetrainMethod[B], ABC):
    """Learns from the rows of both domains; settings are chosen by the error on held-out ratings.

    These are the part `valid` of the period. Where it has none, they are all target rows of some of the common users,
    who are cold for as long as the method learns.
    """

    answers = ColdUserRatings
    learns_from = ColdUserRatings

    def __init__(
        self, *, backbone: B, reads: Literal["new", "all", "first"], start: Literal["warm", "cold"], validation: Part
    ) -> None:
        """`reads`, `start`: as those of `Retrain`. `validation`: share of the common users whose target rows are held
        out where the period has no part `valid`.
        """
        super().__init__(backbone=backbone)
        self.reads = reads
        self.start = start
        self.validation = validation
        self._notes: Sequence[Note] = ()

    def update(self, task: Task, fit: Fit) -> None:
        self._notes = ()
        if task.past and self.reads == "first":
            return
        domains = Domains.of(self.periods(task)).to(fit.device)
        if not (len(domains.source) and len(domains.target)):
            if task.past:  # nothing new that joins the domains
                return
            lacking = "target" if len(domains.source) else "source"
            raise DataError(f"period {task.period.name} has no rows of the {lacking} domain; use data of two domains")
        domains, held_out = self._parted(domains, task, fit)
        if self.start == "cold":
            self.renew(fit)
        self.learn(domains, held_out, task, fit)

    @abstractmethod
    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        """Fit to the rows of `domains`, which are on `fit.device`; `held_out` is not, and None where there is none."""

    def notes(self) -> Sequence[Note]:
        """Settings that the last update chose and its errors on held-out ratings; empty where it learned nothing."""
        return self._notes

    def periods(self, task: Task) -> Sequence[Period]:
        """The periods that an update learns from."""
        return [*(task.past if self.reads == "all" else ()), task.period]

    def renew(self, fit: Fit) -> None:
        """Begin with new weights."""
        self.backbone.draw(fit.generator)

    def _parted(self, domains: Domains, task: Task, fit: Fit) -> tuple[Domains, Ratings | None]:
        """The rows to learn from, and the ratings that are held out."""
        given = task.period.valid
        if isinstance(given, Ratings) and len(given):
            return domains, given
        common = domains.common
        count = round(self.validation * len(common))
        if not count:
            return domains, None
        drawn = permutation(len(common), fit.generator)[:count].to(common.device)
        learned, rows = domains.parted(common[drawn])
        return learned, as_questions(task.period.index, rows)


def as_questions(period: int, rows: Interactions) -> ColdUserRatings:
    """Every row a question of its own, on the CPU."""
    held = rows.to("cpu")
    rating = held.other["rating"].unsqueeze(1)
    return ColdUserRatings(period=period, user=held.user, items=held.item.unsqueeze(1), labels=rating)


def _rated(rows: Interactions, period: Period) -> Interactions:
    """The rows with their rating alone."""
    if "rating" not in rows.other:
        raise DataError(f"rows of period {period.name} have no rating; use data of two domains with ratings")
    return Interactions(rows.user, rows.item, {"rating": rows.other["rating"].float()})
