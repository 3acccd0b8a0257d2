"""What a million rows cost as data grow: `python -m benchmarks.scale [MILLIONS ...]`, by default 1, 3 and 10.

Each figure is of a process of its own: CPU seconds (user and system) and peak memory in MB. Those of `minimal` and
`prepare` are of the whole process, others of the named work alone, without imports of torch.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tabulate import tabulate

from benchmarks.measure import cpu_seconds
from benchmarks.memory import among, peak_mb

if TYPE_CHECKING:
    from recretrain.data.stream import Stream

PERIODS, CANDIDATES, ROWS = 40, 999, 5000
IDS = {1: (100_000, 50_000), 3: (300_000, 100_000), 10: (1_000_000, 200_000), 30: (3_000_000, 600_000)}
MEMORY = "1GB"


def main(millions: Sequence[int]) -> None:
    figures: dict[str, list[str]] = {}
    for size in millions:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            generate(folder, size)
            for part in PARTS:
                figures.setdefault(part, []).append(measured(part, folder, size))
    print(tabulate([[part, *row] for part, row in figures.items()], ["CPU s; MB", *(f"{m}M rows" for m in millions)]))


def measured(part: str, folder: Path, size: int) -> str:
    command = [sys.executable, "-m", "benchmarks.scale", part, str(folder), str(size)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def generate(folder: Path, size: int) -> None:
    """Rows in no order, few users and items with many of them."""
    import duckdb

    users, items = IDS[size]
    share = "(hash(row, {}) % 1000003) / 1000003.0"
    duckdb.sql(f"""COPY (
        SELECT 'u' || floor(pow({share.format(1)}, 2) * {users})::BIGINT AS user,
               'i' || floor(pow({share.format(2)}, 3) * {items})::BIGINT AS item,
               1500000000 + hash(row, 3) % 100000000 AS timestamp
        FROM range({size * 1_000_000}) AS rows(row)) TO '{folder / "rows.csv"}' (HEADER)""")


def prepare(folder: Path, size: int) -> None:
    """`recretrain data prepare` of the table."""
    _prepared(folder)


def minimal(folder: Path, size: int) -> None:
    """The least that DuckDB must do: read the rows, number users and items, sort by time, write files of periods."""
    import duckdb

    with tempfile.TemporaryDirectory(dir=folder) as work:
        connection = duckdb.connect()
        connection.execute(f"SET memory_limit = '{MEMORY}'")
        connection.execute(f"SET temp_directory = '{work}/spill'")
        connection.execute(f"CREATE TABLE raw AS SELECT * FROM read_csv('{folder / 'rows.csv'}')")
        for kind in ("user", "item"):
            connection.execute(
                f"""CREATE TABLE {kind}s AS SELECT row_number() OVER () - 1 AS id, key
                    FROM (SELECT DISTINCT "{kind}" AS key FROM raw)"""
            )
            connection.execute(f"COPY {kind}s TO '{work}/{kind}s.parquet'")
        connection.execute(
            """CREATE TABLE coded AS SELECT users.id AS "user", items.id AS item, timestamp
               FROM raw JOIN users ON users.key = raw."user" JOIN items ON items.key = raw.item ORDER BY timestamp"""
        )
        rows = size * 1_000_000
        for period in range(PERIODS):
            first, last = rows * period // PERIODS, rows * (period + 1) // PERIODS
            query = f"SELECT * FROM coded WHERE rowid >= {first} AND rowid < {last}"
            connection.execute(f"COPY ({query}) TO '{work}/{period}.parquet'")


def sort_by_user(folder: Path, size: int) -> float:
    """The rows by user, once for a stream."""
    from recretrain.data.by_user import rows_by_user

    stream = _stream(folder, "stored")
    return cpu_seconds(lambda: rows_by_user(stream))


def seen_before(folder: Path, size: int) -> float:
    """What the users of the last period's rows had before it, the rows by user being there."""
    from recretrain.data.by_user import items_before, rows_by_user

    stream = _stream(folder, "stored")
    rows, user = rows_by_user(stream), stream.interactions(PERIODS - 1).user
    assert rows is not None
    return cpu_seconds(lambda: items_before(rows, user, PERIODS - 1))


def candidates_stored(folder: Path, size: int) -> float:
    """All candidates of the last period, drawn and kept."""
    stream = _stream(folder, "stored")
    return cpu_seconds(lambda: stream.questions(PERIODS - 1))


def candidates_counted(folder: Path, size: int) -> float:
    """All candidates of the last period, `ROWS` of its rows at a time."""
    from recretrain.data.kinds import Rankings

    def made() -> None:
        asked = stream.questions(PERIODS - 1)
        assert isinstance(asked, Rankings)
        assert asked.candidates is not None
        for start in range(0, len(asked), ROWS):
            asked.candidates[start : start + ROWS]

    stream = _stream(folder, "counted")
    return cpu_seconds(made)


def state_whole(folder: Path, size: int) -> float:
    """A task's state of three numbers for each one of 64 a user and item, all of it."""
    return _committed(folder, size, task=0)


def state_changes(folder: Path, size: int) -> float:
    """The same once 1 % of the rows have changed."""
    return _committed(folder, size, task=1)


def _committed(folder: Path, size: int, task: int) -> float:
    """CPU seconds of the commit of a task after those before it."""
    import torch

    from recretrain.engine.store import RunStore
    from recretrain.records import Costs

    with tempfile.TemporaryDirectory(dir=folder) as work:
        store = RunStore(Path(work))
        tables = {f"{ids} {copy}": torch.zeros(ids, 64) for ids in IDS[size] for copy in ("rows", "mean", "square")}
        for index in range(task + 1):
            costs = Costs(index, 0.0, 0.0, 0.0, 0, 0, 0)
            seconds = cpu_seconds(partial(store.commit, costs, [], {}, tables))
            for table in tables.values():
                table[::100] += 1
    return seconds


def steps_dense(folder: Path, size: int) -> float:
    """A hundred steps of fine-tune over batches of 64 rows, d = 64: Adam over the whole tables."""
    return _steps(size, "dense")


def steps_rows(folder: Path, size: int) -> float:
    """The same by Adam for the rows of a batch alone."""
    return _steps(size, "rows")


def steps_sgd(folder: Path, size: int) -> float:
    """The same by plain steps."""
    return _steps(size, "sgd")


def _steps(size: int, optimizer: Literal["dense", "rows", "sgd"]) -> float:
    import torch

    from recretrain.backbones.mf import MF
    from recretrain.backbones.optimizers import optimizer_of
    from recretrain.data.vocabulary import Vocabulary
    from recretrain.methods.learners.log_loss import LogLoss

    torch.set_num_threads(1)
    users, items = IDS[size]
    mf = MF(vocabulary=Vocabulary.of(n_users=users, n_items=items), embedding_size=64, init_std=0.1)
    made = optimizer_of(optimizer, list(mf.parameters()), learning_rate=0.001)
    random = torch.Generator().manual_seed(0)
    ids = [torch.randint(most, (64,), generator=random) for _ in range(101) for most in (users, items, items)]
    batches = [(ids[at], ids[at + 1], ids[at + 2]) for at in range(0, len(ids), 3)]
    objective = LogLoss(mf, made, reg=0.0)
    objective.training_step(tuple(batches[:1]), 0)
    return cpu_seconds(lambda: objective.training_step(tuple(batches[1:]), 0))


def _prepared(folder: Path) -> Path:
    from dataclasses import replace

    from recretrain.configuration.compose import conf_dir
    from recretrain.preparation.cut import ByCount
    from recretrain.preparation.prepare import load_source
    from recretrain.preparation.prepare import prepare as prepared

    source = load_source(conf_dir() / "data" / "table.yaml", path=str(folder / "rows.csv"))
    cut = replace(source, cut=ByCount(periods=PERIODS))
    return prepared(cut, data_root=folder, cache=folder / "cache", memory=MEMORY)


def _stream(folder: Path, draws: Literal["stored", "counted"]) -> Stream:
    import torch

    from recretrain.data.stream import Stream

    torch.set_num_threads(1)
    return Stream(_prepared(folder), among(CANDIDATES, draws))


PARTS: dict[str, Callable[[Path, int], float | None]] = {
    part.__name__: part
    for part in (
        minimal, prepare, sort_by_user, seen_before, candidates_stored, candidates_counted, state_whole, state_changes,
        steps_dense, steps_rows, steps_sgd,
    )
}  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        seconds = PARTS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(f"{used.ru_utime + used.ru_stime if seconds is None else seconds:.2f}; {peak_mb():.0f}")
    else:
        main([int(size) for size in sys.argv[1:]] or [1, 3, 10])
