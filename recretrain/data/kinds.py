"""A test set is a table of questions: whose, about which period, and the right answers. Its class is their kind.

`Rankings` ask which item comes next, `Histories` the same with the user's last items; `Ratings` ask how much,
`SupportedRatings` the same with ratings that the user has given already, `ColdUserRatings` of users who are known from
another domain. A method says by one of these classes what
it can answer (`RetrainMethod.answers`), a maker of questions what it asks (`data.questions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from recretrain.data.counted import Counted
from recretrain.data.interactions import Interactions, Ragged, padded
from recretrain.errors import DataError


@dataclass(frozen=True)
class Support:
    """Ratings that are given with a question."""

    item: Tensor  # [Q, S] int64, PAD after the last
    rating: Tensor  # [Q, S] float32, 0 after the last

    def at(self, index: Tensor | slice) -> Support:
        return Support(self.item[index], self.rating[index])

    def to(self, device: torch.device | str) -> Support:
        return Support(self.item.to(device), self.rating.to(device))


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Some questions of a test set as a method sees them: never the labels."""

    user: Tensor  # [B]
    candidates: Tensor | None = None  # [B, C] to rank, the label among them, or to rate; None: score `catalogue`
    catalogue: Tensor | None = None  # [I]
    history: Tensor | None = None  # [B, T] the user's last items, the newest in the last column, PAD before the first
    support: Support | None = None  # [B, S]
    period: int = -1  # the questions are about it

    @property
    def offered(self) -> Tensor:
        """The items to be scored: each question's candidates, or the catalogue of all.  # [B, C] or [I]"""
        offered = self.catalogue if self.candidates is None else self.candidates
        assert offered is not None
        return offered


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Questions about one period."""

    __test__ = False  # not a test case, whatever pytest thinks of the name
    words: ClassVar[str] = "any questions"  # for messages

    period: int  # index of the period the questions come from
    user: Tensor  # [Q] int64
    labels: Tensor  # [Q] int64, the item taken; or [Q, n] float32, the ratings given
    groups: Mapping[str, Tensor] = field(default_factory=dict)  # name -> [Q] bool, reported apart

    def __len__(self) -> int:
        return len(self.user)

    def at(self, index: Tensor) -> Self:
        """The questions at these positions, in their order."""
        columns: dict[str, Any] = {
            name: value.at(index) if isinstance(value, Ragged | Support | Counted) else value[index]
            for name, value in self._columns().items()
            if value is not None
        }
        columns["groups"] = {name: members[index] for name, members in self.groups.items()}
        return replace(self, **columns)

    def asked(
        self,
        rows: slice,
        device: torch.device,
        *,
        candidates: Tensor | None = None,
        catalogue: Tensor | None = None,
    ) -> Questions:
        """These questions without their labels, on `device`."""
        user, given = self.user[rows].to(device), self._given(rows, device)
        return Questions(user=user, candidates=candidates, catalogue=catalogue, period=self.period, **given)

    def _given(self, rows: slice, device: torch.device) -> dict[str, Any]:
        """The fields of `Questions` that a kind gives along."""
        return {}

    def _columns(self) -> dict[str, Any]:
        """The fields that have a row for each question, but for the groups."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("period", "groups", "catalogue")}


@dataclass(frozen=True, kw_only=True)
class Rankings(TestSet):
    """Which of the items offered will this user take next?"""

    words = "rankings of items"

    candidates: Tensor | Counted | None = None  # [Q, C] int32, the items to rank the label against (without it)
    catalogue: Tensor | None = None  # [I] int64, every item known by then; ranked in place of `candidates` if given
    seen: Ragged | None = None  # [Q] items the user already had; never ranked against the label


@dataclass(frozen=True, kw_only=True)
class Histories(Rankings):
    """The same, with the last items that the user had before."""

    words = "rankings of items with the user's last items given"

    history: Tensor  # [Q, T] int32, the newest in the last column, PAD before the first

    def _given(self, rows: slice, device: torch.device) -> dict[str, Any]:
        return {"history": self.history[rows].to(device)}


@dataclass(frozen=True, kw_only=True)
class Ratings(TestSet):
    """How will this user rate these items?"""

    words = "ratings of items"

    items: Tensor  # [Q, n] int64; `labels` are their ratings

    def rows(self) -> Interactions:
        """All ratings of the set, one a row, with `rating`: what may be learned from it once it was answered."""
        return self.queries()

    def given(self) -> Interactions:
        """Those ratings that are known before a question is answered; where none are, all."""
        return self.rows()

    def queries(self) -> Interactions:
        """The ratings to be guessed, one a row, with `rating`."""
        user = self.user.repeat_interleave(self.labels.shape[1])
        return Interactions(user, self.items.flatten(), {"rating": self.labels.flatten()})


@dataclass(frozen=True, kw_only=True)
class ColdUserRatings(Ratings):
    """The same, of users whom only their rows in another domain tell (CATN); they are given to learn from."""

    words = "ratings by users who are known from another domain"


@dataclass(frozen=True, kw_only=True)
class SupportedRatings(Ratings):
    """The same, given a few ratings of the same user: an episode (MeLU)."""

    words = "ratings of items with some of the user's ratings given"

    support: Support

    def rows(self) -> Interactions:
        given, asked = self.given(), self.queries()
        return Interactions(
            torch.cat([given.user, asked.user]),
            torch.cat([given.item, asked.item]),
            {"rating": torch.cat([given.other["rating"], asked.other["rating"]])},
        )

    def given(self) -> Interactions:
        known = self.support.item >= 0
        user = self.user.repeat_interleave(known.sum(1))
        return Interactions(user, self.support.item[known], {"rating": self.support.rating[known]})

    def _given(self, rows: slice, device: torch.device) -> dict[str, Any]:
        return {"support": self.support.at(rows).to(device)}


def joined(period: int, tests: Sequence[TestSet]) -> TestSet:
    """The questions of all sets, which are of one kind, as questions about `period`.

    Columns that not every set has are left out, a catalogue too; narrow ones are filled up (`interactions.padded`),
    histories before their first item.
    """
    kind = type(tests[0])
    if any(type(test) is not kind for test in tests):
        raise DataError("questions of different kinds cannot stand in one test set")
    groups = sorted({group for test in tests for group in test.groups})
    columns = {name: _joined(name, [test._columns()[name] for test in tests]) for name in tests[0]._columns()}
    members = {group: torch.cat([_members(test, group) for test in tests]) for group in groups}
    return kind(period=period, groups=members, **columns)


def stacked(period: int, tests: Mapping[str, TestSet]) -> TestSet:
    """One test set of several, each a group under its name; their groups are kept, of all and of each."""
    owner = torch.repeat_interleave(torch.arange(len(tests)), torch.tensor([len(test) for test in tests.values()]))
    own = {name: owner == place for place, name in enumerate(tests)}
    whole = joined(period, list(tests.values()))
    finer = {f"{name}, {group}": rows & where for name, rows in own.items() for group, where in whole.groups.items()}
    return replace(whole, groups={**own, **whole.groups, **finer})


def _joined(name: str, columns: Sequence[Any]) -> Any:
    if any(column is None or isinstance(column, Ragged) for column in columns):
        return None
    if isinstance(columns[0], Support):
        return Support(padded([column.item for column in columns]), padded([column.rating for column in columns]))
    columns = [column[:] if isinstance(column, Counted) else column for column in columns]
    return torch.cat(columns) if columns[0].dim() == 1 else padded(columns, before=name == "history")


def _members(test: TestSet, group: str) -> Tensor:
    return test.groups.get(group, torch.zeros(len(test), dtype=torch.bool))
