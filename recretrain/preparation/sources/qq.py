"""The layout of PeterRec's authors: a user's history a line; for a task the same history, two commas, his labels."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Source
from recretrain.preparation.sources.tasks import SOURCE, Split, check_names, with_tasks
from recretrain.preparation.sql import Connection, Relation, quoted
from recretrain.values import AtLeast1, NotEmpty

IDS = r"\d{1,18}(,\d{1,18})*"
HISTORY, LABELLED = IDS, f"{IDS},,{IDS}"  # a line of the source, a line of a task

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Files:
    """What the files are called, and how they are read."""

    source_rows: Annotated[str, NotEmpty()]  # the file of histories
    tasks: Mapping[str, str]  # name of a task -> its file; those whose file is not there are left out
    zero: Literal["pad", "item"]  # what the id 0 is: of the released code, an item like any other
    least_label_rows: AtLeast1  # labels that fewer rows of their task have are left out, before the split; 1: none

    def __post_init__(self) -> None:
        check_names("data.files.tasks", self.tasks)


@dataclass(frozen=True, kw_only=True)
class QQ(Source):
    """Histories of equal length, filled up with 0 on the left, and files of labels; who a user is says his history.

    Users with one and the same history are one user (peterrec.md, b).
    """

    files: Files
    split: Split

    layout: ClassVar[str] = "files of histories and of histories with labels"

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        return super().options(files) | {"tasks": [list(task) for task in self.files.tasks.items()]}  # in order

    def files_in(self, place: Path) -> list[Path]:
        histories = place / self.files.source_rows
        if not histories.is_file():
            return []
        tasks = [file for name in self.files.tasks.values() if (file := place / name).is_file()]
        if not tasks:
            names = ", ".join(self.files.tasks.values())
            raise DataError(
                f"{place}: {histories.name} is there, but no file of a task ({names}); get one, or set data.files.tasks"
            )
        return [histories, *tasks]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        for period, file in enumerate(files):
            _read(connection, file, period)
        self._check_lengths(connection, files)
        periods = range(1, len(files))
        histories = self._histories(connection, periods)
        names = [self.period_name(files, period) for period in periods]
        self._tell(connection, files)
        return with_tasks(
            connection,
            histories,
            {name: self._labels(connection, period) for period, name in zip(periods, names, strict=True)},
            self.split,
        )

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return True

    def period_name(self, files: Sequence[Path], period: int) -> str:
        """The task whose file it is."""
        if period == 0:
            return SOURCE
        return next(name for name, file in self.files.tasks.items() if Path(file).name == files[period].name)

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return " or ".join(map(str, files))  # lines are checked before they become rows

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        for period, file in enumerate(files):
            _refuse_first(file, LABELLED if period else HISTORY)
        return super().explain(files, error)

    def _histories(self, connection: Connection, tasks: Sequence[int]) -> Relation:
        """Those of the source, then those that only tasks have, as context of the first of them."""
        others = " UNION ALL ".join(f'SELECT {task} AS period, nth, "user", ids FROM lines_{task}' for task in tasks)
        return connection.sql(
            f"""SELECT "user", period, unnest(kept) AS item,
                       CASE WHEN period > 0 THEN 'context'
                            WHEN len(kept) > 1 AND generate_subscripts(kept, 1) = len(kept) THEN 'valid'
                            ELSE 'train' END AS part
                FROM (
                    SELECT "user", period, {self._items("ids")} AS kept FROM (
                        SELECT 0 AS period, nth, "user", ids FROM lines_0
                        UNION ALL
                        FROM ({others}) WHERE "user" NOT IN (SELECT "user" FROM lines_0)
                    )
                    QUALIFY row_number() OVER (PARTITION BY "user" ORDER BY period, nth) = 1
                    ORDER BY period, nth
                )"""
        )

    def _labels(self, connection: Connection, period: int) -> Relation:
        least = self.files.least_label_rows
        return connection.sql(
            f"""SELECT "user", item
                FROM (
                    SELECT "user", nth, unnest(kept) AS item, generate_subscripts(kept, 1) AS place
                    FROM (SELECT "user", nth, {self._items("labels")} AS kept FROM lines_{period})
                )
                QUALIFY count(*) OVER (PARTITION BY item) >= {int(least)} ORDER BY nth, place"""
        )

    def _items(self, ids: str) -> str:
        return f"[id for id in {ids} if id <> 0]" if self.files.zero == "pad" else ids

    def _check_lengths(self, connection: Connection, files: Sequence[Path]) -> None:
        """Check that all histories are as long as the first one."""
        length = _one(connection, "SELECT len(ids) FROM lines_0 LIMIT 1")
        for period, file in enumerate(files):
            if _one(connection, f"SELECT count(*) FROM lines_{period} WHERE len(ids) <> {length}"):
                _refuse_first(file, LABELLED if period else HISTORY, length)

    def _tell(self, connection: Connection, files: Sequence[Path]) -> None:
        """Log what a user may not expect of the files."""
        names = [self.period_name(files, period) for period in range(len(files))]
        absent = [name for name in self.files.tasks if name not in names]
        found = {f"tasks without a file ({', '.join(absent)})": len(absent)}
        found["histories that another line has too, and so one user"] = _one(
            connection, 'SELECT count(*) - count(DISTINCT "user") FROM lines_0'
        )
        zeros = "SELECT sum(len([id for id in ids if id = 0])) FROM lines_0"
        found["zeros of histories"] = _one(connection, zeros) if self.files.zero == "pad" else 0
        for period, name in enumerate(names[1:], start=1):
            lost = f'SELECT count(*) FROM lines_{period} WHERE "user" NOT IN (SELECT "user" FROM lines_0)'
            found[f"histories of {name} that the source lacks"] = _one(connection, lost)
        told = [f"{count} {what}" for what, count in found.items() if count]
        log.info("%s: %s", self.name, "; ".join(told) or "every history is in the source, once")


def _read(connection: Connection, file: Path, period: int) -> None:
    """Make `lines_<period>`: nth, user, ids and labels of every line that is not blank, in order."""
    scan = f"""read_csv({quoted(file)}, delim = '\x1f', header = false, auto_detect = false, quote = '', escape = '',
                        strict_mode = false, max_line_size = 16777216, columns = {{'line': 'VARCHAR'}})"""
    connection.execute(f"CREATE TABLE text_{period} AS SELECT trim(line) AS line FROM {scan} WHERE trim(line) <> ''")
    pattern = LABELLED if period else HISTORY
    if _one(connection, f"SELECT count(*) FROM text_{period} WHERE NOT regexp_full_match(line, '{pattern}')"):
        _refuse_first(file, pattern)
    if not _one(connection, f"SELECT count(*) FROM text_{period}"):
        raise DataError(f"{file}: the file is empty; get it again")
    connection.execute(
        f"""CREATE TABLE lines_{period} AS
            SELECT row_number() OVER () AS nth, (md5_number_lower(history) >> 1)::BIGINT AS "user",
                   string_split(history, ',')::BIGINT[] AS ids, string_split(labels, ',')::BIGINT[] AS labels
            FROM (SELECT split_part(line, ',,', 1) AS history,
                         nullif(split_part(line, ',,', 2), '') AS labels FROM text_{period})"""
    )
    connection.execute(f"DROP TABLE text_{period}")


def _one(connection: Connection, query: str) -> Any:
    return connection.sql(query).fetchall()[0][0]


def _refuse_first(file: Path, pattern: str, length: int | None = None) -> None:
    """Raise a DataError for the first line that does not fit the pattern, or whose history has another length."""
    for number, line in lines.numbered_lines(file):
        problem = _problem(line.strip(), pattern, length)
        if problem:
            raise DataError(
                f"{file}, line {number} ({line.strip()[: lines.SHOWN]}): {problem}; mend or remove the line, or get "
                "the file again"
            )


def _problem(line: str, pattern: str, length: int | None) -> str | None:
    history, commas, labels = line.partition(",,")
    if pattern == LABELLED and not commas:
        return "no two commas between the history and the labels"
    if pattern == HISTORY and commas:
        return "an id is missing between two commas"
    if not history:
        return "the history is empty"
    if pattern == LABELLED and not labels:
        return "no label after the two commas"
    if not re.fullmatch(pattern, line):
        return "an id is not a whole number of at most 18 digits"
    found = history.count(",") + 1
    return (
        f"{found} ids in the history where the source's first line has {length}" if found != (length or found) else None
    )
