"""Cuts, on rows whose times are written out."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.utils import get_class

from recretrain.configuration.compose import compose
from recretrain.configuration.signatures import check
from recretrain.errors import ConfigError, DataError
from recretrain.preparation.cut import DAY, ByCalendar, ByCount, ByRows, Cut, FromEnd, FromStart, Slice, slices_of

CONF = Path(__file__).parents[2] / "conf"


class Rows:
    def __init__(self, times: Sequence[float]) -> None:
        self.times = sorted(times)
        self.rows = len(times)
        self.first, self.last = self.times[0], self.times[-1]
        self.first_end = self.first  # as if every row were a session

    def rows_before(self, moment: float) -> int:
        return bisect_left(self.times, moment)

    def rows_until(self, moment: float) -> int:
        return bisect_right(self.times, moment)


def calendar(every: str = "month", **options: Any) -> ByCalendar:
    plain = {"every": every, "hours": [0], "time_zone": "UTC", "empty": "error", "open": "keep", "since": None}
    return ByCalendar(**(plain | options))


def at(*texts: str) -> Rows:
    return Rows([datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp() for t in texts])


def test_counts_differ_by_at_most_one_and_cover_every_row():
    slices = ByCount(periods=4).slices(Rows(range(10)))

    assert [(s.start, s.stop) for s in slices] == [(0, 2), (2, 5), (5, 7), (7, 10)]


def test_fewer_rows_than_periods_is_an_error_with_the_cure():
    with pytest.raises(DataError, match=r"only 3 interactions for 4 periods; lower data\.cut\.periods"):
        ByCount(periods=4).slices(Rows(range(3)))


def test_months_begin_at_local_midnight():
    rows = at("2019-01-31T22:59:59", "2019-01-31T23:00:00", "2019-02-10")  # Oslo is an hour ahead of UTC in winter

    slices = calendar("month", hours=[0], time_zone="Europe/Oslo").slices(rows)

    assert slices == [Slice("2019-01", 0, 1), Slice("2019-02", 1, 3)]


def test_quarters_begin_in_january_april_july_and_october():
    rows = at("2018-12-31T23:59:59", "2019-01-01T00:00:00", "2019-03-31T23:59:59", "2019-04-01T00:00:00")

    slices = calendar("quarter").slices(rows)

    assert slices == [Slice("2018 Q4", 0, 1), Slice("2019 Q1", 1, 3), Slice("2019 Q2", 3, 4)]


def test_a_quarter_holds_the_rows_of_its_three_months():
    moments = [f"{2018 + month // 12}-{month % 12 + 1:02d}-15" for month in range(20)]
    rows = at(*moments)

    slices = calendar("quarter").slices(rows)

    assert [(s.start, s.stop) for s in slices] == [(0, 3), (3, 6), (6, 9), (9, 12), (12, 15), (15, 18), (18, 20)]
    assert [s.name for s in slices[2:5]] == ["2018 Q3", "2018 Q4", "2019 Q1"]


def test_slots_that_begin_before_a_day_are_one_period():
    rows = at("2004-07-05", "2009-12-31", "2012-02-01", "2012-04-02", "2012-10-01")

    assert slices_of(calendar("quarter", since="2012-01-01", empty="merge"), rows) == [
        Slice("before 2012-01-01", 0, 2),
        Slice("2012 Q1", 2, 3),
        Slice("2012 Q2", 3, 4),
        Slice("2012 Q3 to 2012 Q4", 4, 5),
    ]
    assert slices_of(calendar("quarter", since="2012-01-02", empty="merge"), rows)[0] == Slice(
        "before 2012-01-02", 0, 3
    )
    assert slices_of(calendar("quarter", since="2004-07-01", empty="merge"), rows) == slices_of(
        calendar("quarter", empty="merge"), rows
    )


def test_the_day_is_one_of_the_time_zone():
    rows = at("2019-01-31T22:59:59", "2019-01-31T23:00:00", "2019-02-01T23:00:00")

    slices = calendar("day", since="2019-02-01", time_zone="Europe/Oslo").slices(rows)

    assert slices == [Slice("before 2019-02-01", 0, 1), Slice("2019-02-01", 1, 2), Slice("2019-02-02", 2, 3)]


def test_weeks_begin_on_monday():
    rows = at("2019-01-06T23:00:00", "2019-01-07T00:00:00", "2019-01-13T12:00:00")  # 7 January 2019 was a Monday

    slices = calendar("week", hours=[0], time_zone="UTC").slices(rows)

    assert slices == [Slice("2018-12-31", 0, 1), Slice("2019-01-07", 1, 3)]


def test_a_day_is_cut_at_the_given_hours():
    rows = at("2017-01-01T09:59:59", "2017-01-01T10:00:00", "2017-01-01T16:00:00", "2017-01-01T17:00:00")

    slices = calendar("day", hours=[0, 10, 17], time_zone="UTC").slices(rows)

    assert slices == [Slice("2017-01-01 00h", 0, 1), Slice("2017-01-01 10h", 1, 3), Slice("2017-01-01 17h", 3, 4)]


def test_rows_before_the_first_hour_belong_to_the_evening_before():
    rows = at("2017-01-02T03:00:00", "2017-01-02T08:00:00")

    slices = calendar("day", hours=[8, 20], time_zone="UTC").slices(rows)

    assert [s.name for s in slices] == ["2017-01-01 20h", "2017-01-02 08h"]


def test_local_hours_hold_when_the_clocks_change():
    # on 26 March 2017 Oslo went from UTC+1 to UTC+2: 10 o'clock is 09:00 UTC the day before and 08:00 UTC that day
    rows = at("2017-03-25T08:59:00", "2017-03-25T09:00:00", "2017-03-26T07:59:00", "2017-03-26T08:00:00")

    slices = calendar("day", hours=[10], time_zone="Europe/Oslo").slices(rows)

    assert [(s.start, s.stop) for s in slices] == [(0, 1), (1, 3), (3, 4)]


def test_an_empty_period_is_named_with_the_cure():
    rows = at("2019-01-05", "2019-03-05")

    with pytest.raises(DataError, match=r"period 1 \(2019-02\) has no interactions; cut more coarsely"):
        calendar("month", hours=[0], time_zone="UTC").slices(rows)


def test_an_empty_period_may_be_one_with_the_next_that_has_rows():
    rows = at("2019-01-05", "2019-04-05", "2019-04-06", "2019-05-01")

    slices = slices_of(calendar(empty="merge"), rows)

    assert slices == [Slice("2019-01", 0, 1), Slice("2019-02 to 2019-04", 1, 3), Slice("2019-05", 3, 4)]


def test_an_empty_period_may_be_kept_as_it_is():
    rows = at("2019-01-31T12:00:00", "2019-03-01T12:00:00")
    slices = slices_of(calendar(empty="keep"), rows)
    assert slices == [Slice("2019-01", 0, 1), Slice("2019-02", 1, 1), Slice("2019-03", 1, 2)]


def test_the_last_slot_may_be_left_out_since_it_may_not_be_over():
    rows = at("2019-01-05", "2019-02-05", "2019-02-06", "2019-03-01")

    assert slices_of(calendar(open="drop"), rows) == [Slice("2019-01", 0, 1), Slice("2019-02", 1, 3)]
    assert slices_of(calendar(), rows)[-1] == Slice("2019-03", 3, 4)


def test_empty_slots_before_one_that_is_left_out_are_no_period():
    rows = at("2019-01-05", "2019-03-05")

    assert slices_of(calendar(open="drop", empty="merge"), rows) == [Slice("2019-01", 0, 1)]


def test_a_stream_of_one_open_slot_is_named():
    with pytest.raises(DataError, match=r"all interactions are in 2019-01, which data\.cut\.open=drop leaves out"):
        calendar(open="drop").slices(at("2019-01-05", "2019-01-06"))


def test_periods_of_so_many_rows_leave_the_rest_out():
    slices = ByRows(rows=3).slices(Rows(range(8)))

    assert slices == [Slice("0", 0, 3), Slice("1", 3, 6)]
    assert slices == ByRows(rows=3).slices(Rows(range(6)))  # rows to come change no period


def test_too_few_rows_for_a_period_are_named():
    with pytest.raises(DataError, match=r"only 8 interactions, fewer than the 9 of a period; lower data\.cut\.rows"):
        ByRows(rows=9).slices(Rows(range(8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": "month", "hours": [0, 12]}, r"hours cuts days; with data\.cut\.every=month it must be \[0\]"),
        ({"every": "day", "hours": [17, 10]}, r"data\.cut\.hours is \[17, 10\]; give rising hours"),
    ],
)
def test_values_that_cannot_work_together_are_named(options: dict, message: str):
    with pytest.raises(DataError, match=message):
        calendar(**options)


@pytest.mark.parametrize(
    ("cut", "override", "message"),
    [
        ("months", "since=2019-02-30", "since='2019-02-30' must be text, a date such as 2019-01-31"),
        ("months", "since=20190201", "since=20190201 must be text, a date such as 2019-01-31"),
        ("three_a_day", "every=year", "every='year' must be one of quarter, month, week, day"),
        ("three_a_day", "hours=[0,24]", "hours[1]=24 must be a whole number, between 0 and 23"),
        ("three_a_day", "hours=[]", "hours=[] must be a list, not empty"),
        (
            "three_a_day",
            "time_zone=Europe/Olso",
            "time_zone='Europe/Olso' must be text, the name of a time zone",
        ),
        ("weeks", "empty=drop", "empty='drop' must be one of error, merge"),
        ("days", "open=close", "open='close' must be one of keep, drop"),
        ("rows", "rows=0", "rows=0 must be a whole number, at least 1"),
        ("forty", "periods=0", "periods=0 must be a whole number, at least 1"),
        ("weeks_from_end", "periods=0", "periods=0 must be a whole number, at least 1"),
        ("weeks_from_end", "days=0", "days=0 must be a whole number, at least 1"),
        ("days_from_start", "periods=0", "periods=0 must be a whole number, at least 1"),
        ("days_from_start", "days=0", "days=0 must be a whole number, at least 1"),
    ],
)
def test_values_that_cannot_work_are_named(cut: str, override: str, message: str):
    config, _ = compose(["data=yelp", f"cut@data.cut={cut}", f"data.cut.{override}"])

    with pytest.raises(ConfigError) as error:
        check(config, under=["data"])

    assert f"data.cut.{message}" in str(error.value)


def borders(slices: Sequence[Slice]) -> list[tuple[int, int]]:
    return [(s.start, s.stop) for s in slices]


def test_weeks_are_counted_back_from_the_last_row_and_the_first_period_is_the_rest():
    # the last row is on day 20, so that the borders are days 6 and 13; a row on a border belongs to the earlier period
    rows = Rows([DAY * day for day in (0, 1, 6, 6.5, 13, 13.5, 20)])

    assert borders(FromEnd(periods=3, days=7).slices(rows)) == [(0, 3), (3, 5), (5, 7)]


def test_days_are_counted_from_the_end_of_the_first_session_and_later_rows_are_left_out():
    rows = Rows([DAY * day for day in (0, 0.5, 1.5, 1.6, 2.5, 2.6, 9)])
    rows.first_end = DAY * 0.5

    assert borders(FromStart(periods=2, days=1).slices(rows)) == [(0, 3), (3, 5)]


def test_a_week_without_rows_is_named_with_the_cure():
    rows = at("2016-05-01", "2016-05-31")

    with pytest.raises(
        DataError, match=r"period 1 \(up to 2016-05-24 00:00\) has no .*periods \(now 3\) .*days \(now 7"
    ):
        FromEnd(periods=3, days=7).slices(rows)


def test_days_after_the_last_row_are_named_with_the_cure():
    rows = Rows([0, DAY / 2, DAY * 1.5])

    with pytest.raises(DataError, match=r"period 2 \(up to 1970-01-04 00:00\) has no .* lower data\.cut\.periods"):
        FromStart(periods=3, days=1).slices(rows)


@pytest.mark.parametrize(
    "cut",
    [
        ByCount(periods=3),
        calendar("day", hours=[0], time_zone="UTC"),
        FromEnd(periods=3, days=1),
        FromStart(periods=3, days=1),
        calendar("day", hours=[0], time_zone="UTC", open="drop"),
        ByRows(rows=7),
    ],
    ids=lambda cut: type(cut).__name__,
)
def test_every_cut_keeps_the_contract(cut: Cut):
    rows = Rows([(17_000 + n / 10) * DAY for n in range(60)])

    slices = slices_of(cut, rows)

    assert slices[0].start == 0
    assert [s.stop for s in slices[:-1]] == [s.start for s in slices[1:]]
    assert (slices[-1].stop < 60) == cut.drops_later


@dataclass(frozen=True)
class Given(Cut):
    given: Sequence[tuple[int, int]]

    def slices(self, timeline: object) -> list[Slice]:
        return [Slice(str(n), start, stop) for n, (start, stop) in enumerate(self.given)]


@dataclass(frozen=True)
class Dropping(Given):
    drops_later = True


@pytest.mark.parametrize(
    "given", [[(0, 4)], [(0, 2), (3, 5)], [(0, 3), (2, 5)], [(0, 0), (0, 5)], [(1, 5)], [(0, 6)], []]
)
def test_a_cut_that_loses_or_repeats_rows_is_found(given: list[tuple[int, int]]):
    with pytest.raises(ValueError, match=r"Given cut 5 rows into .*; see the contract of Cut\.slices"):
        slices_of(Given(given), Rows(range(5)))


@pytest.mark.parametrize("given", [[(0, 2), (3, 4)], [(0, 6)], [(1, 4)], []])
def test_a_cut_that_drops_later_rows_loses_no_others(given: list[tuple[int, int]]):
    assert borders(slices_of(Dropping([(0, 2), (2, 4)]), Rows(range(5)))) == [(0, 2), (2, 4)]

    with pytest.raises(ValueError, match="Dropping cut 5 rows"):
        slices_of(Dropping(given), Rows(range(5)))


# keys -----------------------------------------------------------------------------------------------------------------

NOONS = at(*(f"2019-0{month}-{day:02d}T12:00:00" for month in (1, 3, 4) for day in range(1, 29)))
CHANGES = {
    "every": ("week", "month"),
    "hours": ([0, 12], [0]),
    "time_zone": ("Pacific/Kiritimati", "UTC"),
    "empty": ("merge", "error"),
    "open": ("drop", "keep"),
    "since": ("2019-03-04", None),
    "periods": (3, 4),
    "days": (2, 3),
    "rows": (9, 10),
}


@pytest.mark.parametrize("file", sorted((CONF / "cut").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_key_of_a_cut_changes_the_periods(file: Path):
    node = yaml.safe_load(file.read_text())
    cut = get_class(node.pop("_target_"))
    everything = {"every": "day", "empty": "merge"} if "every" in node else {}

    for key in node:
        some, other = ({**node, **everything, key: value} for value in CHANGES[key])
        for changed in (some, other):
            if key == "every":
                changed["hours"] = [0]
        assert periods(cut(**some)) != periods(cut(**other)), key


def periods(cut: Cut) -> list[Slice] | str:
    try:
        return slices_of(cut, NOONS)
    except DataError as error:
        return str(error)
