"""What is looked for in the rows once they are read: each check names the place of the first fault and the cure."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from recretrain.errors import DataError
from recretrain.preparation.sources import times
from recretrain.preparation.sources.base import Source
from recretrain.preparation.sql import Connection

PARTS = ("train", "valid", "test", "context")  # of a period; a period file holds the place in this list
SPELLING = r"""regexp_replace(trim(key), '^(-?\d+)\.0+$', '\1')"""

log = logging.getLogger(__name__)


def columns_of(connection: Connection) -> list[str]:
    """The columns that a row must have a value in."""
    return [column for column in connection.table("interactions").columns if column != "row"]


def check_complete(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    """Raise a DataError for the first row without a value."""
    for column in columns_of(connection):
        query = f'SELECT count(*), min(row) FROM interactions WHERE "{column}" IS NULL'
        missing, first = connection.sql(query).fetchall()[0]
        if missing:
            raise DataError(
                f"{source.place_of(files, first)}: {column} is missing or of the wrong type "
                f"(so in {missing} rows); {source.cure(column)}"
            )


def check_times(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    """Raise a DataError for times of no plausible year, read in a wrong unit perhaps.

    Numbers that are no time in any unit, all of them, such as 1, 2, 3, are an order and stay.
    """
    if "time" not in columns_of(connection) or source.brings_periods(files):
        return
    outside = f"time < {times.EARLIEST} OR time >= {times.LATEST}"
    found = connection.sql(f"SELECT time, row FROM interactions WHERE {outside} ORDER BY row LIMIT 1").fetchall()
    for moment, row in found:
        number = moment * times.SCALES.get(source.time_unit, 1.0)
        unit = times.fitting(number) if source.time_unit in times.SCALES else None
        (last,) = connection.sql("SELECT max(time) FROM interactions").fetchall()[0]
        if unit is not None or last >= times.EARLIEST:
            raise DataError(f"{source.place_of(files, row)}: {_about_time(source, number, moment, unit)}")


def _about_time(source: Source, number: float, moment: float, unit: str | None) -> str:
    read = f"time {number:.0f} is of the year {times.year_of(moment)} when it is read in {source.time_unit}"
    if source.time_unit not in times.SCALES:
        read = f"a time is of the year {times.year_of(moment)}"
    if unit is None:
        return f"{read}, and no time between 1990 and 2100; mend or remove the row"
    day = datetime.fromtimestamp(number / times.SCALES[unit], UTC)
    cure = f"set {source.time_key}={unit}" if source.time_key else f"the file should hold times in {source.time_unit}"
    return f"{read}, in {unit} it is {day:%Y-%m-%d}; {cure}"


def check_parts(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    """Raise a DataError for a part that is none."""
    if "part" not in columns_of(connection):
        return
    query = f"SELECT part, row FROM interactions WHERE part NOT IN {PARTS} ORDER BY row LIMIT 1"
    for part, row in connection.sql(query).fetchall():
        raise DataError(f"{source.place_of(files, row)}: part is {part!r}; it may be {', '.join(PARTS)}")


def check_repeats(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    """Raise a DataError for a pair of user and item that comes again."""
    query = """SELECT "user", item, min(row), max(row), count(*) OVER () FROM interactions
               GROUP BY "user", item HAVING count(*) > 1 ORDER BY max(row) LIMIT 1"""
    for user, item, first, again, pairs in connection.sql(query).fetchall():
        name = item["id"] if isinstance(item, dict) else item
        raise DataError(
            f"{source.place_of(files, again)}: user {user} and item {name} again, as in "
            f"{source.place_of(files, first)} (so for {pairs} pairs); set data.filters.repeats=first or keep"
        )


def warn_of_spellings(connection: Connection, source: Source) -> None:
    """Warn where one id seems to be written in two ways, as 7 and 7.0, or with blanks around it."""
    for kind in ("user", "item"):
        keys = connection.table(f"{kind}_keys")
        if str(keys.types[keys.columns.index("key")]) != "VARCHAR":
            continue
        query = f"""SELECT count(*) OVER (), first, last FROM (
            SELECT min(key) AS first, max(key) AS last FROM {kind}_keys
            GROUP BY {SPELLING} HAVING count(*) > 1) ORDER BY first LIMIT 1"""
        for count, first, last in connection.sql(query).fetchall():
            log.warning(
                "%s: %d %s ids are written in several ways, such as %r and %r, and count as different ones",
                source.name, count, kind, first, last,
            )  # fmt: skip
