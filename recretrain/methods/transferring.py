"""Transferring fits the new data alone and lets a learned transfer decide, row by row, how much of it to serve.

Zhang et al., SIGIR 2020; docs/methods/sml.md. W_{t-1} is `previous`, W-hat_t `fresh_rows`, W_t what the backbone
serves, Theta `transfer`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch

from recretrain.backbones.base import over_rows
from recretrain.data.interactions import Interactions
from recretrain.data.schedule import Task
from recretrain.data.stream import Period
from recretrain.errors import ConfigError
from recretrain.methods.base import B, Fit, Note, RetrainMethod
from recretrain.methods.learners.base import Lesson
from recretrain.methods.parts.gate_notes import Met, gate_notes, kind_of
from recretrain.methods.parts.teaching import Tables, TransferTeaching, copy_state, copy_tables, put, tables
from recretrain.values import AtLeast1


class Transferring(RetrainMethod[B]):
    """Algorithm 2 of the paper in the order of the released code: the transfer learns from a period when that period
    has become today, after its questions were answered. docs/methods/sml.md (a).

    Subclasses say how rows are fitted, and by which loss the transfer is taught.
    """

    kept = ("previous", "fresh_rows")
    grows_apart = "the transfer passes over all rows in each period, those of later users and items too (sml.md, T2)"

    def __init__(
        self,
        *,
        backbone: B,
        transfer: TransferTeaching,
        loops: AtLeast1,
        continues_from: Literal["transferred", "own"],
        inactive_rows: Literal["transferred", "kept"],
        lessons_from: AtLeast1 | None,
    ) -> None:
        """`lessons_from`: a period of the warm-up block, from which on it is gone through period by period to teach
        the transfer, before the run begins from rows fitted to the whole block (sml.md, l).
        """
        super().__init__(backbone=backbone)
        if not tables(backbone):
            raise ConfigError(
                f"a transfer blends rows of users and items, and {type(backbone).__name__} has no table of them that "
                "grows with the data; leave `backbone=` out or give another"
            )
        self.transfer = transfer
        self.loops = loops
        self.continues_from = continues_from
        self.inactive_rows = inactive_rows
        self.lessons_from = lessons_from
        self.transfer.make(backbone)
        self.met = Met(tables(backbone))
        self.previous: Tables | None = None  # None until the first period after the warm-up
        self.fresh_rows: Tables | None = None
        self._notes: list[Note] = []

    @abstractmethod
    def fit_block(self, lesson: Lesson, fit: Fit) -> None:
        """Fit the backbone to the warm-up, as every method that shares the pre-training does."""

    @abstractmethod
    def fit_early(self, lesson: Lesson, fit: Fit) -> None:
        """Fit it to the periods before the lessons of the warm-up."""

    @abstractmethod
    def fit_fresh(self, lesson: Lesson, fit: Fit) -> None:
        """Fit its rows to one period."""

    @abstractmethod
    def teach(self, lesson: Lesson, fit: Fit) -> None:
        """Teach the transfer by the loss on `lesson` of what it makes of `previous` and `fresh_rows`."""

    def begin_period(self) -> None:
        """Forget what a fit of fresh rows must not carry from period to period; by default nothing."""
        return

    def begin_anew(self) -> None:
        """Forget what the fits so far have left besides rows, as before new ones; by default nothing."""
        return

    def update(self, task: Task, fit: Fit) -> None:
        if not task.past:
            self._warm_up(task.period, fit)
        else:
            today, yesterday = _alone(task.period, task.past), _alone(task.past[-1], task.past[:-1])
            if self.previous is not None:  # today's data answer how well yesterday's blend foresaw them
                self._finish(yesterday=yesterday, today=today, fit=fit)
            self._begin(today, fit)
            self._notes = self._about_gates(task.period.train)
        self.met.add(task.period.train)

    def notes(self) -> Sequence[Note]:
        return self._notes

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As of every `Stateful`; users and items that came since were served as they are drawn."""
        super().load_state_dict(state)
        own = tables(self.backbone)
        for rows in (self.previous, self.fresh_rows):
            if rows is not None:
                rows.update({name: over_rows(table, own[name]) for name, table in rows.items()})

    def _warm_up(self, block: Period, fit: Fit) -> None:
        early, late = self._parted(block)
        drawn = copy_state(self.backbone)
        self.fit_block(_alone(block, []), fit)
        if not late:
            self.transfer.begin(self.backbone, fit)
            return
        start = copy_state(self.backbone)
        self.backbone.load_state_dict(drawn)
        self._take_lessons(early, late, fit)
        self.backbone.load_state_dict(start)
        self.previous = self.fresh_rows = None
        self.begin_anew()

    def _parted(self, block: Period) -> tuple[Sequence[Period], Sequence[Period]]:
        """The periods of the warm-up before `lessons_from` and from it on; none where there are no lessons in it."""
        if self.lessons_from is None:
            return (), ()
        parts, needed = block.parts, self.lessons_from + 2  # one to fit, one to be taught by
        early = [part for part in parts if part.index < self.lessons_from]
        late = [part for part in parts if part.index >= self.lessons_from]
        if len(late) < 2:
            raise ConfigError(
                f"method.lessons_from={self.lessons_from} needs a warm-up of at least {needed} periods, and "
                f"{block.name} is {max(len(parts), 1)}: lower it, set schedule.warm_up=tests for a longer warm-up, or "
                "method.lessons_from=null"
            )
        return early, late

    def _take_lessons(self, early: Sequence[Period], late: Sequence[Period], fit: Fit) -> None:
        """Fit the rows to the early periods, then teach the transfer by the late ones, stage by stage."""
        *past, last = early
        self.fit_early(Lesson(last, past, whole=True, cold=False), fit)
        self.transfer.begin(self.backbone, fit)
        yesterday, *rest = (_alone(part, [*early, *late[:place]]) for place, part in enumerate(late))
        for today in rest:
            self._begin(yesterday, fit)
            self._finish(yesterday=yesterday, today=today, fit=fit)
            yesterday = today

    def _begin(self, today: Lesson, fit: Fit) -> None:
        """The part of today's stage that precedes its test: one fit of fresh rows, one blend."""
        self.begin_period()
        self.previous = copy_tables(self.backbone)
        self._fit_fresh(today, fit)
        self._blend(today.period)

    def _finish(self, *, yesterday: Lesson, today: Lesson, fit: Fit) -> None:
        """The rest of yesterday's stage: the transfer learns, fresh rows are fitted again under it, and so on."""
        lesson = self.transfer.taught.lesson(fitted=yesterday, following=today)
        if lesson is None:
            return
        assert self.fresh_rows is not None
        if self.transfer.new_adam:
            self.transfer.adam.renew()
        own = self.continues_from == "own"
        if own:
            put(self.fresh_rows, self.backbone)
        for loop in range(self.loops):
            if loop:
                self._fit_fresh(yesterday, fit)
            self.teach(lesson, fit)
            if not own:  # the released code's monitoring does this as a side effect (sml.md, T1)
                self._blend(yesterday.period)
        if own:
            self._blend(yesterday.period)

    def _fit_fresh(self, lesson: Lesson, fit: Fit) -> None:
        self.fit_fresh(lesson, fit)
        self.fresh_rows = copy_tables(self.backbone)

    @torch.no_grad()
    def _blend(self, period: Period) -> None:
        """Serve f(previous, fresh): for all rows, or only for those with an interaction in `period` (sml.md, T2)."""
        assert self.previous is not None
        assert self.fresh_rows is not None
        for name, table in tables(self.backbone).items():
            net = self.transfer.net(name)
            previous, fresh = self.previous[name], self.fresh_rows[name]
            if self.inactive_rows == "transferred":
                net.blend_into(table, previous, fresh)
                continue
            ids = torch.unique(getattr(period.train, kind_of(name))).to(table.device)
            blended = torch.empty_like(table[ids])
            net.blend_into(blended, previous[ids], fresh[ids])
            table.copy_(previous).index_copy_(0, ids, blended)

    def _about_gates(self, rows: Interactions) -> list[Note]:
        assert self.previous is not None
        assert self.fresh_rows is not None
        nets = {name: self.transfer.net(name) for name in self.previous}
        return gate_notes(nets, self.previous, self.fresh_rows, rows, self.met)

    def trained_parameters(self) -> int:
        return super().trained_parameters() + sum(p.numel() for p in self.transfer.nets.parameters())


def _alone(period: Period, past: Sequence[Period]) -> Lesson:
    """A period to be fitted by itself."""
    return Lesson(period, past, whole=False, cold=False)
