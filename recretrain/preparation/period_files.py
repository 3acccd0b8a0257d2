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
import numpy as np
import pyarrow.compute as pc

from recretrain.errors import DataError
from recretrain.once import aside_of
from recretrain.outside import refused
from recretrain.preparation import checks
from recretrain.preparation.checks import PARTS
from recretrain.preparation.cut import Cut, Slice, slices_of
from recretrain.preparation.sources.base import Deletion, Source
from recretrain.preparation.sql import Connection, quoted
from recretrain.sealed import seal
from recretrain.visible import first_line

TEXTS = 100_000  # whose words are in memory at a time
CONTEXT = PARTS.index("context")  # rows that are given as history, neither learned nor asked

log = logging.getLogger(__name__)

Count: TypeAlias = dict[str, str | int]


def build(source: Source, files: Sequence[Path], folder: Path, card: dict[str, Any], memory: str) -> None:
    """Write the prepared `folder` (docs/contracts.md); `card` is the beginning of its stream.json."""
    with aside_of(folder) as aside, _database(source, folder, memory) as connection:
        _load(connection, source, files)
        counts = _filter(connection, source, files)
        own = source.brings_periods(files)
        _order(connection, own, counts[-1])
        slices = _given(connection, source, files) if own else _cut(connection, source.needed_cut)
        if not own:
            _context_first(connection, slices)
        counts += _delete_later(connection, source, slices, counts[-1])
        spaces = _number(connection, source, files, slices)
        columns, periods = _write_periods(connection, slices, aside)
        words = _write_tokens(connection, source, slices, aside)
        source.write_candidates(files, aside)
        source.write_facts(connection, files, aside)
        sizes = {f"n_{kind}s": _write_vocabulary(connection, kind, aside) for kind in ("user", "item")}
        card = card | sizes | spaces | words | {"columns": columns, "periods": periods, "counts": counts}
        (aside / "stream.json").write_text(json.dumps(card, indent=1) + "\n")
        seal(aside)
    log.info("%s: %d periods in %s", source.name, len(slices), folder)


def _load(connection: Connection, source: Source, files: Sequence[Path]) -> None:
    """Make `interactions`: the rows of the source, each with its number in the raw files."""
    try:
        rows = source.rows(connection, files)
        # ids of different spaces never meet: the key of an item is then (space, raw id), and NULL where the id is
        key = "* REPLACE (CASE WHEN item IS NOT NULL THEN {'space': space, 'id': item} END AS item)"
        columns = key if "space" in rows.columns else "*"
        rows.project(f"row_number() OVER () - 1 AS row, {columns}").create("interactions")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if refused(error):
            raise
        raise DataError(source.explain(files, error)) from error
    source.check_read(connection, files)


def _filter(connection: Connection, source: Source, files: Sequence[Path]) -> list[Count]:
    """Delete what the configuration asks for; a row that is then still unusable is an error."""
    counts = [_counted(connection, "read")]
    log.info("%s: read %d rows, %d users, %d items", source.name, *list(counts[0].values())[1:])
    if not counts[0]["rows"]:
        raise DataError(f"{', '.join(map(str, files[:3]))}: there are no rows in it; get the data again")
    for deletion in source.before_check(files):
        counts.append(_delete(connection, source, deletion, counts[-1]))
    if source.drops_nulls:
        missing = " OR ".join(f'"{column}" IS NULL' for column in checks.columns_of(connection))
        counts.append(_delete(connection, source, Deletion("nulls=drop", missing), counts[-1]))
    checks.check_complete(connection, source, files)
    checks.check_times(connection, source, files)
    checks.warn_of_spellings(connection, source)
    for deletion in source.after_check(files):
        counts.append(_delete(connection, source, deletion, counts[-1]))
    for deletion in source.after_filters(connection):
        counts.append(_delete(connection, source, deletion, counts[-1]))
    checks.check_parts(connection, source, files)
    if not counts[-1]["rows"]:
        steps = ", ".join(f"{c['step']} left {c['rows']}" for c in counts)
        raise DataError(f"{source.name}: no interactions left ({steps}); loosen data.filters")
    if source.repeats_are_errors:
        checks.check_repeats(connection, source, files)
    return counts


def _counted(connection: Connection, step: str) -> Count:
    """Count the rows of `interactions` and make `user_keys` and `item_keys` (code, key): their distinct ids."""
    for kind in ("user", "item"):
        connection.execute(_keys(kind))
    rows, users, items = (
        connection.table(table).count("*").fetchall()[0][0] for table in ("interactions", "user_keys", "item_keys")
    )
    return {"step": step, "rows": rows, "users": users, "items": items}


def _keys(kind: str) -> str:
    """SQL for the distinct values of a column of `interactions`, numbered in no order."""
    return f"""CREATE OR REPLACE TABLE {kind}_keys AS
        SELECT row_number() OVER () - 1 AS code, key
        FROM (SELECT DISTINCT "{kind}" AS key FROM interactions WHERE "{kind}" IS NOT NULL)"""


def _delete(connection: Connection, source: Source, deletion: Deletion, before: Count) -> Count:
    query = f"DELETE FROM interactions WHERE {deletion.rows}"
    lost = deleted = connection.execute(query).fetchall()[0][0]
    while deletion.until_stable and deleted:
        deleted = connection.execute(query).fetchall()[0][0]
    count = _counted(connection, deletion.step) if lost else before | {"step": deletion.step}
    return _logged(source, count, before)


def _delete_later(connection: Connection, source: Source, slices: Sequence[Slice], before: Count) -> list[Count]:
    """Delete rows after the last slice before ids are assigned."""
    if slices[-1].stop == before["rows"]:
        return []
    connection.execute("DELETE FROM ordered WHERE position >= $1", [slices[-1].stop])
    query = 'SELECT count(*), count(DISTINCT "user"), count(DISTINCT item) FROM ordered'
    rows, users, items = connection.sql(query).fetchall()[0]
    return [_logged(source, {"step": "data.cut", "rows": rows, "users": users, "items": items}, before)]


def _logged(source: Source, count: Count, before: Count) -> Count:
    lost = [int(before[key]) - int(count[key]) for key in ("rows", "users", "items")]
    log.info("%s: %s dropped %d rows, %d users, %d items", source.name, count["step"], *lost)
    return count


def _order(connection: Connection, by_period: bool, count: Count) -> None:
    """Make `ordered`: rows by time (or by the source's own period), ties as in the raw files, numbered from 0.

    What is given in a period comes before what is learned or asked. User, item and session stand there by their codes,
    since short rows are sorted faster; `stream` shows the same rows with the ids that the codes stand for.
    """
    columns = connection.table("interactions").columns
    kinds = [kind for kind in ("user", "item", "session") if kind in columns]
    if "session" in kinds:
        connection.execute(_keys("session"))
    joins = " ".join(f'JOIN {kind}_keys ON {kind}_keys.key = rows."{kind}"' for kind in kinds)
    codes = ", ".join(f'{kind}_keys.code AS "{kind}"' for kind in kinds)
    given = "part <> 'context', " if "part" in columns else ""
    order = f"period, {given}row" if by_period else "time, row"
    made = connection.execute(
        f"""CREATE TABLE ordered AS SELECT *, row_number() OVER () - 1 AS position
            FROM (SELECT rows.* REPLACE ({codes}) FROM interactions AS rows {joins} ORDER BY {order})"""
    )
    if made.fetchall()[0][0] != count["rows"]:
        raise ValueError("Source.after_filters left other rows or ids than it was given; see its contract")
    connection.execute("DROP TABLE interactions")
    joins = " ".join(f'JOIN {kind}_keys ON {kind}_keys.code = rows."{kind}"' for kind in kinds)
    keys = ", ".join(f'{kind}_keys.key AS "{kind}"' for kind in kinds)
    connection.execute(f"CREATE VIEW stream AS SELECT rows.* REPLACE ({keys}) FROM ordered AS rows {joins}")


@dataclass(frozen=True)
class _Timeline:
    connection: Connection
    rows: int
    first: float
    last: float

    @property
    def first_end(self) -> float:
        query = 'SELECT min(ended) FROM (SELECT max(time) AS ended FROM ordered GROUP BY "user")'
        return float(self.connection.sql(query).fetchall()[0][0])

    def rows_before(self, moment: float) -> int:
        return self._rows("time < $1", moment)

    def rows_until(self, moment: float) -> int:
        return self._rows("time <= $1", moment)

    def _rows(self, condition: str, moment: float) -> int:
        query = f"SELECT count(*) FROM ordered WHERE {condition}"
        return int(self.connection.execute(query, [moment]).fetchall()[0][0])


def _cut(connection: Connection, cut: Cut) -> list[Slice]:
    rows, first, last = connection.sql("SELECT count(*), min(time), max(time) FROM ordered").fetchall()[0]
    return slices_of(cut, _Timeline(connection, rows, first, last))


def _context_first(connection: Connection, slices: Sequence[Slice]) -> None:
    """Put what is given before what is learned or asked, in the slices of a cut too."""
    if "part" not in connection.table("ordered").columns:
        return
    slice_ = " + ".join(f"(position >= {cut.stop})::INTEGER" for cut in slices)
    order = f"{slice_}, part <> 'context', position"
    connection.execute(
        f"""CREATE OR REPLACE TABLE ordered AS SELECT * REPLACE (row_number() OVER () - 1 AS position)
            FROM (SELECT * FROM ordered ORDER BY {order})"""
    )


def _given(connection: Connection, source: Source, files: Sequence[Path]) -> list[Slice]:
    query = "SELECT period, min(position), max(position) + 1 FROM ordered GROUP BY period ORDER BY period"
    given = connection.sql(query).fetchall()
    for index, (period, _, _) in enumerate(given):
        if period != index:
            name, following = source.period_name(files, index), source.period_name(files, period)
            raise DataError(f"period {name} has no interactions; the next file is of period {following}")
    log.info("the source brings its own %d periods; data.cut is not used", len(given))
    return [Slice(source.period_name(files, period), start, stop) for period, start, stop in given]


def _number(
    connection: Connection, source: Source, files: Sequence[Path], slices: Sequence[Slice]
) -> dict[str, list[str]]:
    """Make `users` and `items` (id, code, key, first_period), then `coded`, the rows in ids; return the spaces, if any.

    With spaces, `items` and `coded` have them as indices.
    """
    connection.execute("CREATE TABLE slices (index INTEGER, start BIGINT)")
    with_rows = [[i, s.start] for i, s in enumerate(slices) if s.start < s.stop]  # no two begin at one row
    connection.executemany("INSERT INTO slices VALUES (?, ?)", with_rows)
    sizes = source.vocabulary(files)
    for kind, size in zip(("user", "item"), sizes or (None, None), strict=True):
        connection.execute(_own_ids(kind, size, len(slices)) if size is not None else _ids_by_appearance(kind))
    present = connection.table("ordered").columns
    spaces = _number_spaces(connection, source.spaces) if "space" in present else []
    if "session" in present:
        connection.execute(_ids_by_appearance("session"))
    casts = {
        "time": "time::DOUBLE AS time",
        "rating": "rating::FLOAT AS rating",
        "session": "sessions.id AS session",
        "part": f"(list_position({list(PARTS)}, part) - 1)::TINYINT AS part",
        "space": "items.space AS space",
    }
    connection.execute(
        f"""CREATE TABLE coded AS
            SELECT users.id::BIGINT AS "user", items.id::BIGINT AS item,
                   {"".join(f"{casts[column]}, " for column in present if column in casts)} position
            FROM ordered JOIN users ON users.code = ordered."user" JOIN items ON items.code = ordered.item
            {"JOIN sessions ON sessions.code = ordered.session" if "session" in present else ""}
            ORDER BY position"""
    )
    return {"spaces": spaces} if spaces else {}


def _ids_by_appearance(kind: str) -> str:
    return f"""CREATE TABLE {kind}s AS
        SELECT row_number() OVER (ORDER BY first) - 1 AS id, code, key, index AS first_period
        FROM (SELECT "{kind}" AS code, min(position) AS first FROM ordered GROUP BY "{kind}")
        JOIN {kind}_keys USING (code) ASOF JOIN slices ON first >= slices.start ORDER BY id"""


def _own_ids(kind: str, size: int, periods: int) -> str:
    """SQL for ids that are the source's own; those that never appear get the period after the last."""
    return f"""CREATE TABLE {kind}s AS
        SELECT range AS id, code, range AS key, coalesce(first_period, {periods})::INTEGER AS first_period
        FROM range({size}) LEFT JOIN (
            SELECT code, key AS own, first_period
            FROM (SELECT "{kind}" AS code, min(period) AS first_period FROM ordered GROUP BY "{kind}")
            JOIN {kind}_keys USING (code)
        ) ON own = range ORDER BY id"""


def _number_spaces(connection: Connection, first: Sequence[str]) -> list[str]:
    """Split the keys of `items` into raw id and space; returns the spaces, `first` before others as they appear."""
    order = f"coalesce(list_position({list(first)}::VARCHAR[], key.space), {len(first) + 1}), min(id)"
    connection.execute(
        f"""CREATE TABLE spaces AS
            SELECT row_number() OVER (ORDER BY {order}) - 1 AS index, key.space AS name FROM items GROUP BY key.space"""
    )
    connection.execute(
        """CREATE OR REPLACE TABLE items AS
           SELECT id, code, key.id AS key, first_period, spaces.index::SMALLINT AS space
           FROM items JOIN spaces ON spaces.name = items.key.space ORDER BY id"""
    )
    return [str(name) for (name,) in connection.sql("SELECT name FROM spaces ORDER BY index").fetchall()]


def _write_periods(
    connection: Connection, slices: Sequence[Slice], folder: Path
) -> tuple[list[str], list[dict[str, Any]]]:
    coded = connection.table("coded").columns
    columns = [column for column in coded if column not in ("position", "space")]
    when = "min(time), max(time)" if "time" in columns else "NULL, NULL"
    periods = []
    for index, cut in enumerate(slices):
        inside = f"FROM coded WHERE position >= {cut.start} AND position < {cut.stop}"
        names = ", ".join(f'"{c}"' for c in columns)
        file = quoted(folder / f"period_{index:03d}.parquet")
        connection.execute(f"COPY (SELECT {names} {inside} ORDER BY position) TO {file} (FORMAT parquet)")
        start, end = connection.sql(f"SELECT {when} {inside}").fetchall()[0]
        period = {"name": cut.name, "rows": cut.stop - cut.start, "start": start, "end": end}
        if "space" in coded:
            period["space"] = _space_of(connection, cut, inside, "part" in coded)
        periods.append(period)
    return columns, periods


def _space_of(connection: Connection, period: Slice, inside: str, has_parts: bool) -> int:
    """The one space of a period's rows other than context."""
    asked = f"{inside} AND part <> {CONTEXT}" if has_parts else inside
    found = [space for (space,) in connection.sql(f"SELECT DISTINCT space {asked} ORDER BY space").fetchall()]
    if not found:
        raise DataError(f"period {period.name} has no rows beside its context; cut more coarsely (data.cut)")
    if len(found) != 1:
        names = ", ".join(name for (name,) in connection.sql("SELECT name FROM spaces ORDER BY index").fetchall())
        raise DataError(
            f"period {period.name} has rows of {len(found)} spaces ({names}) beside its context; a period learns and "
            "asks the items of one space"
        )
    return int(found[0])


def _write_tokens(connection: Connection, source: Source, slices: Sequence[Slice], folder: Path) -> dict[str, int]:
    """Write the words of texts row by row with the period files; no file where the source has no texts.

    Return the card's `tokens`: the number of the source's words, or one more than the highest number of a word.
    """
    tokens = source.tokens(connection)
    if tokens is None:
        return {}
    tokens.create("tokens")
    highest = [_write_texts(connection, index, cut, folder) for index, cut in enumerate(slices)]
    if not connection.sql("SELECT 1 FROM duckdb_tables() WHERE table_name = 'words'").fetchall():
        return {"tokens": max(highest) + 1}
    file = quoted(folder / "words.parquet")
    query = f"COPY (SELECT id::BIGINT AS id, word FROM words ORDER BY id) TO {file} (FORMAT parquet)"
    return {"tokens": int(connection.execute(query).fetchall()[0][0])}


def _write_texts(connection: Connection, index: int, cut: Slice, folder: Path) -> int:
    """Write the words of one period's texts, block by block; return the highest number, -1 where there is none."""
    query = f"""SELECT tokens FROM tokens WHERE position >= {cut.start} AND position < {cut.stop} ORDER BY position"""
    lengths, highest = [np.zeros(1, dtype=np.int64)], -1
    aside = folder / f"tokens_{index:03d}.values"
    with aside.open("wb") as out:
        for block in connection.sql(query).to_arrow_reader(TEXTS):
            texts = block.column("tokens")
            if texts.null_count:
                break
            values = texts.flatten().to_numpy(zero_copy_only=False).astype(np.int32)
            highest = max(highest, int(values.max(initial=-1)))
            lengths.append(pc.list_value_length(texts).to_numpy(zero_copy_only=False).astype(np.int64))
            values.tofile(out)
    offsets = np.concatenate(lengths).cumsum()
    if len(offsets) != cut.stop - cut.start + 1:
        raise ValueError(f"the source's tokens lack some of the {cut.stop - cut.start} rows of period {index}")
    some = offsets[-1] > 0  # an empty file cannot be mapped
    values = np.memmap(aside, np.int32, "r") if some else np.zeros(0, np.int32)
    np.savez(folder / f"tokens_{index:03d}.npz", offsets=offsets, values=values)
    aside.unlink()
    return highest


def _write_vocabulary(connection: Connection, kind: str, folder: Path) -> int:
    file = quoted(folder / f"{kind}s.parquet")
    space = ", space" if "space" in connection.table(f"{kind}s").columns else ""
    query = f"SELECT id::BIGINT AS id, key, first_period::INTEGER AS first_period{space} FROM {kind}s ORDER BY id"
    return int(connection.execute(f"COPY ({query}) TO {file} (FORMAT parquet)").fetchall()[0][0])


@contextmanager
def _database(source: Source, folder: Path, memory: str) -> Iterator[Connection]:
    """Open DuckDB in memory; what is more than `memory` goes to files next to `folder` that are deleted afterwards.

    A database on disk would pack each table that is made, which takes longer than to make it.
    """
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        connection = duckdb.connect()
        try:
            _limit_memory(connection, memory)
            connection.execute(f"SET temp_directory = {quoted(work + '/spill')}")
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET enable_progress_bar = false")  # it would write to standard output
            connection.execute("SET preserve_insertion_order = true")
            yield connection
        except duckdb.OutOfMemoryException as error:
            raise DataError(f"{source.name}: {first_line(error)}; raise paths.memory (now {memory})") from error
        finally:
            connection.close()


def _limit_memory(connection: Connection, memory: str) -> None:
    try:
        connection.execute(f"SET memory_limit = {quoted(memory)}")
    except duckdb.Error as error:
        raise DataError(f"paths.memory is {memory!r}; give an amount such as 500MB or 1GB") from error
