"""A cut turns rows in order of time into consecutive slices, one a period."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from recretrain.data.errors import DataError


@dataclass(frozen=True)
class Slice:
    name: str
    start: int  # first row, counted from 0 in order of time
    stop: int  # one past the last row


class Timeline(Protocol):
    """All that a cut may know of the rows."""

    @property
    def rows(self) -> int: ...

    @property
    def first(self) -> float: ...  # unix seconds

    @property
    def last(self) -> float: ...

    def rows_before(self, moment: float) -> int: ...


class Cut(ABC):
    @abstractmethod
    def slices(self, timeline: Timeline) -> list[Slice]:
        """Slices that cover every row once, in order, none of them empty."""


@dataclass(frozen=True, kw_only=True)
class ByCount(Cut):
    """Equal counts; sizes differ by at most one."""

    periods: int

    def __post_init__(self) -> None:
        if self.periods < 1:
            raise DataError(f"schedule.cut.periods is {self.periods}; there must be at least 1")

    def slices(self, timeline: Timeline) -> list[Slice]:
        if timeline.rows < self.periods:
            raise DataError(
                f"only {timeline.rows} interactions for {self.periods} periods; "
                f"lower schedule.cut.periods or loosen the filters of data"
            )
        borders = [timeline.rows * p // self.periods for p in range(self.periods + 1)]
        return [Slice(str(p), start, stop) for p, (start, stop) in enumerate(pairwise(borders))]


@dataclass(frozen=True, kw_only=True)
class ByCalendar(Cut):
    """Months, weeks (from Monday) or slots of a day, on the clock of a time zone."""

    every: str  # month | week | day
    hours: Sequence[int]  # local hours at which the slots of a day begin
    time_zone: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "hours", tuple(self.hours))
        if self.every not in ("month", "week", "day"):
            raise DataError(f"schedule.cut.every is {self.every!r}; it may be month, week or day")
        if self.every != "day" and self.hours != (0,):
            raise DataError(f"schedule.cut.hours cuts days; with every: {self.every} it must be [0], not {self.hours}")
        if not self.hours or any(a >= b for a, b in pairwise((-1, *self.hours, 24))):
            raise DataError(f"schedule.cut.hours is {self.hours}; give rising hours between 0 and 23")

    def slices(self, timeline: Timeline) -> list[Slice]:
        slots = self._slots(timeline.first, timeline.last)
        borders = [0, *(timeline.rows_before(start) for _, start in slots[1:]), timeline.rows]
        slices = [Slice(name, a, b) for (name, _), (a, b) in zip(slots, pairwise(borders), strict=True)]
        for index, cut in enumerate(slices):
            if cut.start == cut.stop:
                raise DataError(
                    f"period {index} ({cut.name}) has no interactions; cut more coarsely (schedule.cut.every, now "
                    f"{self.every}; schedule.cut.hours, now {list(self.hours)}) or by count"
                )
        return slices

    def _slots(self, first: float, last: float) -> list[tuple[str, float]]:
        """Name and start of each slot from the one that holds `first` to the one that holds `last`."""
        zone = self._zone()
        day = datetime.fromtimestamp(first, zone).date() - timedelta(days=1)
        slots: list[tuple[str, float]] = []
        for local in self._starts(day):
            start = local.replace(tzinfo=zone).timestamp()
            if start > last:
                return slots
            if start <= first:
                slots.clear()
            slots.append((self._name(local), start))
        raise AssertionError("the calendar does not end")

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise DataError(
                f"schedule.cut.time_zone is {self.time_zone!r}, which is no zone; Europe/Oslo or UTC would be"
            ) from error

    def _starts(self, day: date) -> Iterator[datetime]:
        """Local starts of all slots, from one that is not after `day`."""
        if self.every == "month":
            month = day.year * 12 + day.month - 1
            while True:
                yield datetime(month // 12, month % 12 + 1, 1)
                month += 1
        step = timedelta(days=7 if self.every == "week" else 1)
        current = day - timedelta(days=day.weekday()) if self.every == "week" else day
        while True:
            for hour in self.hours:
                yield datetime(current.year, current.month, current.day, hour)
            current += step

    def _name(self, start: datetime) -> str:
        if self.every == "month":
            return f"{start:%Y-%m}"
        if self.every == "week" or len(self.hours) == 1:
            return f"{start:%Y-%m-%d}"
        return f"{start:%Y-%m-%d %Hh}"
