"""A cut turns rows in order of time into consecutive slices, one a period."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Annotated, Literal, Protocol
from zoneinfo import ZoneInfo

from recretrain.errors import DataError
from recretrain.preparation.sources.times import plausible
from recretrain.preparation.zones import Day, TimeZone
from recretrain.values import AtLeast1, NotEmpty, Within

DAY = 86_400  # seconds, also of the days on which clocks change

Hour = Annotated[int, Within(0, 23)]

_MONTHS = {"quarter": 3, "month": 1}  # of a calendar slot


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

    @property
    def first_end(self) -> float: ...  # when the first user (or session) to leave had its last row

    def rows_before(self, moment: float) -> int: ...

    def rows_until(self, moment: float) -> int: ...  # those at the moment itself too


class Cut(ABC):
    @property
    def drops_later(self) -> bool:
        """Whether rows after the last slice are left out of the stream; else they are an error."""
        return False

    @property
    def allows_empty(self) -> bool:
        """Whether a slice may have no rows: a period in which nothing is learned and nothing asked."""
        return False

    @abstractmethod
    def slices(self, timeline: Timeline) -> list[Slice]:
        """Return slices one after the other from row 0 on, up to the last row unless `drops_later`.

        The first is not empty, nor any other one unless `allows_empty`.
        """


def slices_of(cut: Cut, timeline: Timeline) -> list[Slice]:
    """The cut's slices; raises ValueError unless they are as `Cut.slices` says."""
    slices = cut.slices(timeline)
    borders = [0, *(s.stop for s in slices)]
    least = 0 if cut.allows_empty else 1
    full = all(stop - start >= least for start, stop in pairwise(borders)) and borders[1:2] != [0]
    in_order = [s.start for s in slices] == borders[:-1] and full
    left = timeline.rows - borders[-1]
    if not slices or not in_order or left < 0 or (left and not cut.drops_later):
        raise ValueError(f"{type(cut).__name__} cut {timeline.rows} rows into {slices}; see the contract of Cut.slices")
    return slices


@dataclass(frozen=True, kw_only=True)
class ByCount(Cut):
    """Equal counts; sizes differ by at most one."""

    periods: AtLeast1

    def slices(self, timeline: Timeline) -> list[Slice]:
        if timeline.rows < self.periods:
            raise DataError(
                f"only {timeline.rows} interactions for {self.periods} periods; "
                f"lower data.cut.periods or loosen data.filters"
            )
        borders = [timeline.rows * p // self.periods for p in range(self.periods + 1)]
        return [Slice(str(p), start, stop) for p, (start, stop) in enumerate(pairwise(borders))]


@dataclass(frozen=True, kw_only=True)
class ByRows(Cut):
    """So many rows a period; those after the last full period are left out, so that more rows change no period."""

    rows: AtLeast1

    @property
    def drops_later(self) -> bool:
        return True

    def slices(self, timeline: Timeline) -> list[Slice]:
        periods = timeline.rows // self.rows
        if not periods:
            raise DataError(
                f"only {timeline.rows} interactions, fewer than the {self.rows} of a period; lower data.cut.rows or "
                "loosen data.filters"
            )
        return [Slice(str(p), p * self.rows, (p + 1) * self.rows) for p in range(periods)]


@dataclass(frozen=True, kw_only=True)
class ByCalendar(Cut):
    """Quarters (from January), months, weeks (from Monday) or slots of a day, on the clock of a time zone."""

    every: Literal["quarter", "month", "week", "day"]
    hours: Annotated[Sequence[Hour], NotEmpty()]  # local hours at which the slots of a day begin
    time_zone: TimeZone
    # a slot without rows; merge: it is one period with the next that has some; keep: it is a period without rows
    empty: Literal["error", "merge", "keep"]
    open: Literal["keep", "drop"]  # the last slot, which may not be over
    since: Day | None  # slots that begin before it are one

    @property
    def drops_later(self) -> bool:
        return self.open == "drop"

    @property
    def allows_empty(self) -> bool:
        return self.empty == "keep"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hours", tuple(self.hours))
        if self.every != "day" and self.hours != (0,):
            raise DataError(
                f"data.cut.hours cuts days; with data.cut.every={self.every} it must be [0], not {list(self.hours)}"
            )
        if any(a >= b for a, b in pairwise(self.hours)):
            raise DataError(f"data.cut.hours is {list(self.hours)}; give rising hours")

    def slices(self, timeline: Timeline) -> list[Slice]:
        slots = self._slots(timeline.first, timeline.last)
        borders = [0, *(timeline.rows_before(start) for _, start in slots[1:]), timeline.rows]
        slices = [Slice(name, a, b) for (name, _), (a, b) in zip(slots, pairwise(borders), strict=True)]
        if self.open == "drop":
            slices = slices[:-1]
        if self.empty == "merge":
            slices = _merged(slices)
        for index, cut in enumerate(slices):
            if cut.start == cut.stop and not self.allows_empty:
                raise DataError(
                    f"period {index} ({cut.name}) has no interactions; cut more coarsely (data.cut.every, now "
                    f"{self.every}; data.cut.hours, now {list(self.hours)}), by count (cut@data.cut=forty), join it "
                    "with the next one (data.cut.empty=merge), or keep it (data.cut.empty=keep)"
                )
        if not slices:
            raise DataError(
                f"all interactions are in {slots[-1][0]}, which data.cut.open=drop leaves out; set data.cut.open=keep "
                f"or cut more finely (data.cut.every, now {self.every})"
            )
        return slices

    def _slots(self, first: float, last: float) -> list[tuple[str, float]]:
        """Name and start of each slot from the one that holds `first` to the one that holds `last`."""
        for moment in (first, last):
            if not plausible(moment):
                raise DataError(
                    f"time {moment:g} is of no year between 1990 and 2100, so these data have no calendar; cut them by "
                    "rows (cut@data.cut=rows), or set the unit of their times"
                )
        zone = ZoneInfo(self.time_zone)
        day = datetime.fromtimestamp(first, zone).date() - timedelta(days=1)
        slots: list[tuple[str, float]] = []
        for local in self._starts(day):
            start = local.replace(tzinfo=zone).timestamp()
            if start > last:
                return slots
            if start <= first:
                slots.clear()
            is_early = self.since is not None and local.date() < date.fromisoformat(self.since)
            if not (is_early and slots):
                slots.append((f"before {self.since}" if is_early else self._name(local), start))
        raise AssertionError("the calendar does not end")

    def _starts(self, day: date) -> Iterator[datetime]:
        """Local starts of all slots, from one that is not after `day`."""
        if months := _MONTHS.get(self.every):
            month = (day.year * 12 + day.month - 1) // months * months
            while True:
                yield datetime(month // 12, month % 12 + 1, 1)
                month += months
        step = timedelta(days=7 if self.every == "week" else 1)
        current = day - timedelta(days=day.weekday()) if self.every == "week" else day
        while True:
            for hour in self.hours:
                yield datetime(current.year, current.month, current.day, hour)
            current += step

    def _name(self, start: datetime) -> str:
        if self.every == "quarter":
            return f"{start:%Y} Q{start.month // 3 + 1}"
        if self.every == "month":
            return f"{start:%Y-%m}"
        if self.every == "week" or len(self.hours) == 1:
            return f"{start:%Y-%m-%d}"
        return f"{start:%Y-%m-%d %Hh}"


def _merged(slices: Sequence[Slice]) -> list[Slice]:
    """Each slice with the empty ones before it; empty ones after the last rows are left out."""
    found: list[Slice] = []
    first: Slice | None = None  # of the empty ones
    for cut in slices:
        first = first or cut
        if cut.start < cut.stop:
            found.append(cut if first is cut else replace(cut, name=f"{first.name} to {cut.name}"))
            first = None
    return found


@dataclass(frozen=True, kw_only=True)
class FromEnd(Cut):
    """Periods of so many days up to the last row; period 0 is everything before (ader.md, b3).

    A row exactly on a border belongs to the earlier period.
    """

    periods: AtLeast1
    days: AtLeast1  # of every period but the first

    def slices(self, timeline: Timeline) -> list[Slice]:
        ends = [timeline.last - back * self.days * DAY for back in reversed(range(self.periods))]
        return _up_to(ends, timeline, self.periods, self.days)


@dataclass(frozen=True, kw_only=True)
class FromStart(Cut):
    """Periods of so many days after the first session's end; later rows are dropped (ader.md, b3).

    Rows before that end are in period 0. A row exactly on a border belongs to the earlier period.
    """

    periods: AtLeast1
    days: AtLeast1  # of every period

    @property
    def drops_later(self) -> bool:
        return True

    def slices(self, timeline: Timeline) -> list[Slice]:
        ends = [timeline.first_end + (index + 1) * self.days * DAY for index in range(self.periods)]
        return _up_to(ends, timeline, self.periods, self.days)


def _up_to(ends: Sequence[float], timeline: Timeline, periods: int, days: int) -> list[Slice]:
    borders = [0, *(timeline.rows_until(end) for end in ends)]
    for index, (start, stop) in enumerate(pairwise(borders)):
        if start == stop:
            raise DataError(
                f"period {index} (up to {datetime.fromtimestamp(ends[index], UTC):%Y-%m-%d %H:%M}) has no "
                f"interactions; lower data.cut.periods (now {periods}) or change data.cut.days (now {days})"
            )
    return [Slice(str(index), start, stop) for index, (start, stop) in enumerate(pairwise(borders))]
