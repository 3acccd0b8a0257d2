"""Times in any unit become unix seconds, and those of no plausible year are found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from recretrain.errors import DataError
from recretrain.preparation.sql import Relation, name_of

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns", "iso", "auto"]

SCALES = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # of numbers: so many of the unit are a second
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
ISO = "epoch(TRY_CAST({} AS TIMESTAMPTZ))"  # UTC where the text has no offset
YEAR = 31_556_952  # seconds


def seconds(table: Relation, name: str, unit: TimeUnit, column: str | None = None) -> str:
    """SQL for the unix seconds that a column of `table` holds; NULL where it is no time.

    A column whose own type is a time or a date needs no unit. `column`: its name in SQL, where that is another.
    """
    sql = column or name_of(name)
    if _is_time(table, name):
        return finite(f"epoch({sql})")
    found = _fitting(table, name) if unit == "auto" else unit
    return finite(ISO.format(sql) if found == "iso" else f"TRY_CAST({sql} AS DOUBLE) / {SCALES[found]!r}")


def finite(number: str) -> str:
    """SQL for a number, NULL where it is not finite."""
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def plausible(moment: float) -> bool:
    """Whether unix seconds are of a year that events of recommenders have."""
    return EARLIEST <= moment < LATEST


def fitting(number: float) -> str | None:
    """The one unit in which a number is a plausible time."""
    return next((unit for unit, scale in SCALES.items() if plausible(number / scale)), None)


def year_of(moment: float) -> int:
    """The year of unix seconds, however far it is."""
    if abs(moment) < 1_900 * YEAR:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment)).year
    return 1970 + int(moment // YEAR)


def _is_time(table: Relation, name: str) -> bool:
    kind = str(table.types[table.columns.index(name)])
    return kind == "DATE" or kind.startswith("TIMESTAMP")


def _fitting(table: Relation, name: str) -> str:
    """The unit in which all numbers of a column are plausible times, or iso where it holds none."""
    numbers = table.project(f"TRY_CAST({name_of(name)} AS DOUBLE) AS number").filter("isfinite(number)")
    least, most = numbers.aggregate("min(number), max(number)").fetchall()[0]
    if least is None:
        return "iso"
    if (unit := fitting(least)) and unit == fitting(most):
        return unit
    raise DataError(
        f"column {name!r} holds numbers from {least:.15g} to {most:.15g}, which are times between 1990 and 2100 in no "
        "one unit; set time_unit (now auto) to s, ms, us or ns, or mend the column"
    )
