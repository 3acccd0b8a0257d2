"""From the rows of a source to period files, all of it in DuckDB."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.cut import Cut, Slice, slices_of
from recretrain.preparation.places import aside_of
from recretrain.preparation.sources.base import Connection, Drop, Source, quoted

log = logging.getLogger(__name__)

Count: TypeAlias = dict[str, str | int]


def build(source: Source, files: Sequence[Path], folder: Path, card: dict[str, Any]) -> None:
    with aside_of(folder) as aside, _database(source, folder) as connection:
        _load(connection, source, files)
        counts = _filter(connection, source, files)
        _order(connection, source.brings_periods(files))
        slices = _given(connection, source) if source.brings_periods(files) else _cut(connection, source.needed_cut)
        counts += _drop_later(connection, source, slices, counts[-1])
        _number(connection, source, files, slices)
        columns, periods = _write_periods(connection, slices, aside)
        source.write_candidates(files, aside)
        source.write_facts(connection, files, aside)
        sizes = {f"n_{kind}s": _write_vocabulary(connection, kind, aside) for kind in ("user", "item")}
        card = card | sizes | {"columns": columns, "periods": periods, "counts": counts}
        (aside / "stream.json").write_text(json.dumps(card, indent=1) + "\n")
    log.info("%s: %d periods in %s", source.name, len(slices), folder)


def _load(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    try:
        source.rows(connection, files).create("raw")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise DataError(source.explain(files, error)) from error
    # numbers of the raw rows, which outlive the deletions to come
    connection.execute("CREATE TABLE interactions AS SELECT rowid AS row, * FROM raw ORDER BY rowid")
    connection.execute("DROP TABLE raw")


def _filter(connection: Connection, source: Source, files: Sequence[Path]) -> list[Count]:
    """Drop what the configuration asks for; what is then still unusable is an error."""
    counts = [_count(connection, "read")]
    log.info("%s: read %d rows, %d users, %d items", source.name, *list(counts[0].values())[1:])
    for drop in source.before_check(files):
        counts.append(_drop(connection, source, drop, counts[-1]))
    _check_complete(connection, source, files)
    for drop in source.after_check(files):
        counts.append(_drop(connection, source, drop, counts[-1]))
    if not counts[-1]["rows"]:
        steps = ", ".join(f"{c['step']} left {c['rows']}" for c in counts)
        raise DataError(f"{source.name}: no interactions left ({steps}); loosen the filters of data")
    if source.repeats_are_errors:
        _check_repeats(connection, source, files)
    return counts


def _count(connection: Connection, step: str, table: str = "interactions") -> Count:
    query = f'SELECT count(*), count(DISTINCT "user"), count(DISTINCT item) FROM {table}'
    rows, users, items = connection.sql(query).fetchall()[0]
    return {"step": step, "rows": rows, "users": users, "items": items}


def _drop(connection: Connection, source: Source, drop: Drop, before: Count) -> Count:
    dropped = connection.execute(f"DELETE FROM interactions WHERE {drop.rows}").fetchall()[0][0]
    while drop.until_stable and dropped:
        dropped = connection.execute(f"DELETE FROM interactions WHERE {drop.rows}").fetchall()[0][0]
    return _told(source, _count(connection, drop.step), before)


def _drop_later(connection: Connection, source: Source, slices: Sequence[Slice], before: Count) -> list[Count]:
    """What a cut leaves out goes before ids are given."""
    if slices[-1].stop == before["rows"]:
        return []
    connection.execute("DELETE FROM stream WHERE position >= $1", [slices[-1].stop])
    return [_told(source, _count(connection, "data.cut", "stream"), before)]


def _told(source: Source, count: Count, before: Count) -> Count:
    lost = [int(before[what]) - int(count[what]) for what in ("rows", "users", "items")]
    log.info("%s: %s dropped %d rows, %d users, %d items", source.name, count["step"], *lost)
    return count


def _check_complete(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    columns = [c for c in connection.table("interactions").columns if c != "row"]
    for column in columns:
        query = f'SELECT count(*), min(row) FROM interactions WHERE "{column}" IS NULL'
        missing, first = connection.sql(query).fetchall()[0]
        if missing:
            raise DataError(
                f"{source.place_of(files, first)}: {column} is missing or of the wrong type "
                f"(so in {missing} rows); {source.cure(column)}"
            )


def _check_repeats(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    query = """SELECT "user", item, min(row), max(row), count(*) OVER () FROM interactions
               GROUP BY "user", item HAVING count(*) > 1 ORDER BY max(row) LIMIT 1"""
    for user, item, first, again, pairs in connection.sql(query).fetchall():
        raise DataError(
            f"{source.place_of(files, again)}: user {user} and item {item} again, as in "
            f"{source.place_of(files, first)} (so for {pairs} pairs); set data.repeats=first or keep"
        )


def _order(connection: Connection, by_period: bool) -> None:
    """`stream`: rows by time (or by the source's own period), ties as in the raw files, numbered from 0."""
    order = "period, row" if by_period else "time, row"
    connection.execute(
        f"""CREATE TABLE stream AS
            SELECT *, row_number() OVER (ORDER BY {order}) - 1 AS position FROM interactions ORDER BY position"""
    )
    connection.execute("DROP TABLE interactions")


@dataclass(frozen=True)
class _Timeline:
    connection: Connection
    rows: int
    first: float
    last: float

    @property
    def first_end(self) -> float:
        query = 'SELECT min(ended) FROM (SELECT max(time) AS ended FROM stream GROUP BY "user")'
        return float(self.connection.sql(query).fetchall()[0][0])

    def rows_before(self, moment: float) -> int:
        return self._rows("time < $1", moment)

    def rows_until(self, moment: float) -> int:
        return self._rows("time <= $1", moment)

    def _rows(self, condition: str, moment: float) -> int:
        query = f"SELECT count(*) FROM stream WHERE {condition}"
        return int(self.connection.execute(query, [moment]).fetchall()[0][0])


def _cut(connection: Connection, cut: Cut) -> list[Slice]:
    rows, first, last = connection.sql("SELECT count(*), min(time), max(time) FROM stream").fetchall()[0]
    return slices_of(cut, _Timeline(connection, rows, first, last))


def _given(connection: Connection, source: Source) -> list[Slice]:
    query = "SELECT period, min(position), max(position) + 1 FROM stream GROUP BY period ORDER BY period"
    given = connection.sql(query).fetchall()
    for index, (period, _, _) in enumerate(given):
        if period != index:
            name, following = source.period_name(index), source.period_name(period)
            raise DataError(f"period {name} has no interactions; the next file is of period {following}")
    log.info("the source brings its own %d periods; data.cut is not used", len(given))
    return [Slice(source.period_name(period), start, stop) for period, start, stop in given]


def _number(connection: Connection, source: Source, files: Sequence[Path], slices: Sequence[Slice]) -> None:
    """Tables `users` and `items`: id, key, first_period; then `coded`, the stream in ids."""
    connection.execute("CREATE TABLE slices (index INTEGER, start BIGINT)")
    connection.executemany("INSERT INTO slices VALUES (?, ?)", [[i, s.start] for i, s in enumerate(slices)])
    sizes = source.vocabulary(files)
    for kind, size in zip(("user", "item"), sizes or (None, None), strict=True):
        connection.execute(_own_ids(kind, size, len(slices)) if size is not None else _ids_by_appearance(kind))
    extra = [c for c in connection.table("stream").columns if c in ("time", "rating", "session")]
    casts = {"time": "time::DOUBLE AS time", "rating": "rating::FLOAT AS rating", "session": "sessions.id AS session"}
    if "session" in extra:
        connection.execute(_ids_by_appearance("session"))
    connection.execute(
        f"""CREATE TABLE coded AS
            SELECT users.id::BIGINT AS "user", items.id::BIGINT AS item, {"".join(casts[c] + ", " for c in extra)}
                   position
            FROM stream JOIN users ON users.key = stream."user" JOIN items ON items.key = stream.item
            {"JOIN sessions ON sessions.key = stream.session" if "session" in extra else ""}
            ORDER BY position"""
    )


def _ids_by_appearance(kind: str) -> str:
    return f"""CREATE TABLE {kind}s AS
        SELECT row_number() OVER (ORDER BY first) - 1 AS id, key, index AS first_period
        FROM (SELECT "{kind}" AS key, min(position) AS first FROM stream GROUP BY "{kind}")
        ASOF JOIN slices ON first >= slices.start ORDER BY id"""


def _own_ids(kind: str, size: int, periods: int) -> str:
    """Keys are ids; those that never appear first do so after the last period."""
    return f"""CREATE TABLE {kind}s AS
        SELECT range AS id, range AS key, coalesce(first_period, {periods})::INTEGER AS first_period
        FROM range({size}) LEFT JOIN
            (SELECT "{kind}" AS own, min(period) AS first_period FROM stream GROUP BY "{kind}") ON own = range
        ORDER BY id"""


def _write_periods(
    connection: Connection, slices: Sequence[Slice], folder: Path
) -> tuple[list[str], list[dict[str, Any]]]:
    columns = [c for c in connection.table("coded").columns if c != "position"]
    when = "min(time), max(time)" if "time" in columns else "NULL, NULL"
    periods = []
    for index, cut in enumerate(slices):
        inside = f"FROM coded WHERE position >= {cut.start} AND position < {cut.stop}"
        names = ", ".join(f'"{c}"' for c in columns)
        file = quoted(folder / f"period_{index:03d}.parquet")
        connection.execute(f"COPY (SELECT {names} {inside} ORDER BY position) TO {file} (FORMAT parquet)")
        start, end = connection.sql(f"SELECT {when} {inside}").fetchall()[0]
        periods.append({"name": cut.name, "rows": cut.stop - cut.start, "start": start, "end": end})
    return columns, periods


def _write_vocabulary(connection: Connection, kind: str, folder: Path) -> int:
    file = quoted(folder / f"{kind}s.parquet")
    query = f"SELECT id::BIGINT AS id, key, first_period::INTEGER AS first_period FROM {kind}s ORDER BY id"
    return int(connection.execute(f"COPY ({query}) TO {file} (FORMAT parquet)").fetchall()[0][0])


@contextmanager
def _database(source: Source, folder: Path) -> Iterator[Connection]:
    """DuckDB on disk next to `folder`, so that `memory_limit` holds; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        connection = duckdb.connect(f"{work}/rows.duckdb")
        try:
            _limit_memory(connection, source.memory_limit)
            connection.execute(f"SET temp_directory = {quoted(work + '/spill')}")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = false")  # it would write to standard output
            connection.execute("SET preserve_insertion_order = true")
            yield connection
        except duckdb.OutOfMemoryException as error:
            first = str(error).partition("\n")[0]
            raise DataError(f"{source.name}: {first}; raise data.memory_limit (now {source.memory_limit})") from error
        finally:
            connection.close()


def _limit_memory(connection: Connection, limit: str) -> None:
    try:
        connection.execute(f"SET memory_limit = {quoted(limit)}")
    except duckdb.Error as error:
        raise DataError(f"data.memory_limit is {limit!r}; give an amount such as 500MB or 1GB") from error
