"""Raw files become period files once; whoever asks for the same again gets the same folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
from filelock import FileLock

from recretrain.data.cut import Cut, Slice
from recretrain.data.errors import DataError
from recretrain.data.sources.base import Connection, Drop, Generator, Source, plain, quoted

FORMAT = 1  # of the prepared folder; part of its digest

log = logging.getLogger(__name__)

Count: TypeAlias = dict[str, str | int]


def prepare(source: Source, cut: Cut, *, data_root: Path, cache: Path) -> Path:
    """The folder of period files (docs/contracts.md) for this source and cut, made if it is not there."""
    cache = Path(cache).absolute()
    raw = find_raw(source, Path(data_root), cache)
    recipe = {
        "format": FORMAT,
        "name": source.name,
        "reader": type(source).__name__,
        "options": source.options() | ({} if source.brings_periods else {"cut": _cut_options(cut)}),
        "files": raw.identity,
    }
    digest = digest_of(recipe)
    folder = cache / f"{source.name}-{digest}"
    if not folder.is_dir():
        with _only_one(folder):
            if not folder.is_dir():
                raw.make()
                card = recipe | {"source": raw.kind, "digest": digest}
                _build(raw.source, cut, raw.files, folder, card)
    return folder


def describe(folder: Path) -> dict[str, Any]:
    """What a prepared folder holds, for people: stream.json and what can be counted in the files."""
    card: dict[str, Any] = json.loads((folder / "stream.json").read_text())
    periods = card["periods"]
    arrivals = {kind: _arrivals(folder / f"{kind}.parquet") for kind in ("users", "items")}
    for index, period in enumerate(periods):
        period |= {f"new_{kind}": count.get(index, 0) for kind, count in arrivals.items()}
    files = quoted(folder / "period_*.parquet")
    repeats = f'SELECT count(*) - count(DISTINCT ("user", item)) FROM read_parquet({files})'
    return card | {
        "rows": sum(p["rows"] for p in periods),
        "start": periods[0]["start"],
        "end": periods[-1]["end"],
        "repeats": duckdb.connect().sql(repeats).fetchall()[0][0],
    }


def list_sources(conf_dir: Path, data_root: Path, cache: Path) -> list[dict[str, str]]:
    """Every data set of conf/data: name, what it is, found, missing or generator, and where it is looked for."""
    return [_listed(file, Path(data_root)) for file in sorted((conf_dir / "data").glob("*.yaml"))]


def load_source(file: Path, **changes: Any) -> Source:
    """The source of one file of conf/data, with some values changed."""
    import yaml
    from hydra.utils import instantiate

    node = {k: v for k, v in yaml.safe_load(file.read_text()).items() if k != "defaults"} | changes
    source = instantiate(node)
    if not isinstance(source, Source):
        raise TypeError(f"{file}: {node['_target_']} is not a Source")
    return source


@dataclass(frozen=True)
class Raw:
    """The raw files a folder is made from: the user's, or generated ones."""

    kind: str  # raw | synthetic
    source: Source  # finds and reads them
    root: Path
    identity: list[Any]  # what of them enters the digest

    @property
    def files(self) -> list[Path]:
        return self.source.find(self.root)

    def make(self) -> None:
        """Generate the files, if they are generated and not there yet."""
        if self.kind == "raw":
            return
        folder = Path(self.source.path)
        with _only_one(folder):
            if not folder.is_dir():
                log.info("%s: generating synthetic files in %s", self.source.name, folder)
                with _aside(folder) as aside:
                    self.source.synthesize(aside)


def find_raw(source: Source, data_root: Path, cache: Path) -> Raw:
    """Decide between the user's files and generated ones; a DataError says what is missing and what to do."""
    files = [] if source.source == "synthetic" else source.find(data_root)
    if files:
        stats = [(f.name, f.stat()) for f in files]
        return Raw("raw", source, data_root, [[name, s.st_size, s.st_mtime_ns] for name, s in stats])
    generator = source.generates()
    if source.source == "raw" or (source.source == "auto" and generator is None):
        raise DataError(source.missing(data_root))
    if generator is None:
        raise DataError(f"there is no generator for {source.name}; set data.source=raw")
    identity = _generator_identity(generator)
    folder = cache / "synthetic" / f"{source.name}-{digest_of(identity)}"
    return Raw("synthetic", replace(source, path=str(folder)), data_root, identity)


def digest_of(value: Any) -> str:
    text = json.dumps(plain(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _generator_identity(generator: Generator) -> list[Any]:
    return [type(generator).__name__, generator.version, plain(asdict(generator))]  # type: ignore[call-overload]


def _cut_options(cut: Cut) -> dict[str, Any]:
    return {"by": type(cut).__name__} | {f.name: plain(getattr(cut, f.name)) for f in fields(cut)}  # type: ignore[arg-type]


def _listed(file: Path, data_root: Path) -> dict[str, str]:
    if "path: ???" in file.read_text():
        source = load_source(file, path="")
        return {"name": file.stem, "about": source.about, "state": "yours", "path": "data.path=..."}
    source = load_source(file)
    where = str(data_root / source.path)
    return {"name": file.stem, "about": source.about, "state": _state(source, data_root), "path": where}


def _state(source: Source, data_root: Path) -> str:
    try:
        if source.find(data_root):
            return "found"
    except DataError:
        return "incomplete"
    return "generator" if source.generates() else "missing"


def _arrivals(vocabulary: Path) -> dict[int, int]:
    counts = f"SELECT first_period, count(*) FROM read_parquet({quoted(vocabulary)}) GROUP BY 1"
    return dict(duckdb.connect().sql(counts).fetchall())


# --- building -------------------------------------------------------------------------------------------------------


def _build(source: Source, cut: Cut, files: Sequence[Path], folder: Path, card: dict[str, Any]) -> None:
    with _aside(folder) as aside, _database(source, folder) as connection:
        _load(connection, source, files)
        counts = _filter(connection, source, files)
        _order(connection, source)
        slices = _given(connection) if source.brings_periods else _cut(connection, cut)
        _number(connection, source, files, slices)
        columns, periods = _write_periods(connection, slices, aside)
        source.write_candidates(files, aside)
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
    for drop in source.before_check():
        counts.append(_drop(connection, source, drop, counts[-1]))
    _check_complete(connection, source, files)
    for drop in source.after_check():
        counts.append(_drop(connection, source, drop, counts[-1]))
    if not counts[-1]["rows"]:
        steps = ", ".join(f"{c['step']} left {c['rows']}" for c in counts)
        raise DataError(f"{source.name}: no interactions left ({steps}); loosen the filters of data")
    if source.repeats_are_errors:
        _check_repeats(connection, source, files)
    return counts


def _count(connection: Connection, step: str) -> Count:
    query = 'SELECT count(*), count(DISTINCT "user"), count(DISTINCT item) FROM interactions'
    rows, users, items = connection.sql(query).fetchall()[0]
    return {"step": step, "rows": rows, "users": users, "items": items}


def _drop(connection: Connection, source: Source, drop: Drop, before: Count) -> Count:
    dropped = connection.execute(f"DELETE FROM interactions WHERE {drop.rows}").fetchall()[0][0]
    while drop.until_stable and dropped:
        dropped = connection.execute(f"DELETE FROM interactions WHERE {drop.rows}").fetchall()[0][0]
    count = _count(connection, drop.step)
    lost = [int(before[what]) - int(count[what]) for what in ("rows", "users", "items")]
    log.info("%s: %s dropped %d rows, %d users, %d items", source.name, drop.step, *lost)
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


def _order(connection: Connection, source: Source) -> None:
    """`stream`: rows by time (or by the source's own period), ties as in the raw files, numbered from 0."""
    order = "period, row" if source.brings_periods else "time, row"
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

    def rows_before(self, moment: float) -> int:
        query = "SELECT count(*) FROM stream WHERE time < $1"
        return int(self.connection.execute(query, [moment]).fetchall()[0][0])


def _cut(connection: Connection, cut: Cut) -> list[Slice]:
    rows, first, last = connection.sql("SELECT count(*), min(time), max(time) FROM stream").fetchall()[0]
    return cut.slices(_Timeline(connection, rows, first, last))


def _given(connection: Connection) -> list[Slice]:
    query = "SELECT period, min(position), max(position) + 1 FROM stream GROUP BY period ORDER BY period"
    slices = [Slice(str(period), start, stop) for period, start, stop in connection.sql(query).fetchall()]
    for index, given in enumerate(slices):
        if given.name != str(index):
            raise DataError(f"period {index} has no interactions; the next file is of period {given.name}")
    log.info("the source brings its own %d periods; schedule.cut is not used", len(slices))
    return slices


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


# --- places on disk -------------------------------------------------------------------------------------------------


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / f".{folder.name}.lock"):
        yield


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder to write in that becomes `folder` if all goes well and is removed if not. Needs `_only_one(folder)`."""
    for stale in folder.parent.glob(f".{folder.name}.*/"):  # of a process that was killed
        shutil.rmtree(stale)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield aside
        aside.chmod(0o755)
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _database(source: Source, folder: Path) -> Iterator[Connection]:
    """DuckDB on disk next to `folder`, so that `memory_limit` holds; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as work:
        connection = duckdb.connect(f"{work}/rows.duckdb")
        try:
            _limit_memory(connection, source.memory_limit)
            connection.execute(f"SET temp_directory = {quoted(work + '/spill')}")
            connection.execute("SET TimeZone = 'UTC'")
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
