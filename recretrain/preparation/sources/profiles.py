"""MovieLens users' histories as a source, and facts about them as downstream tasks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import duckdb
import pyarrow as pa

from recretrain.errors import DataError
from recretrain.preparation.sources import lines, movielens
from recretrain.preparation.sources.base import Source
from recretrain.preparation.sources.movielens_facts import LAYOUTS, users
from recretrain.preparation.sources.tasks import LAST_IS_VALID, SOURCE, Split, check_names, with_tasks
from recretrain.preparation.sql import Connection, Relation

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """Which release of MovieLens it is, and which facts about its users are asked, in order."""

    release: Literal["ml-1m", "ml-100k"]
    tasks: Sequence[Literal["gender", "age", "occupation"]]

    def __post_init__(self) -> None:
        check_names("data.profiles.tasks", self.tasks)


@dataclass(frozen=True, kw_only=True)
class MovieLensProfiles(Source):
    """The films that a user rated, in order of time; ratings without a time are left out and counted."""

    profiles: Profiles
    split: Split

    layout: ClassVar[str] = "ratings and users of MovieLens"

    def files_in(self, place: Path) -> list[Path]:
        ratings = place / movielens.RATINGS[self.profiles.release].file
        people = place / str(LAYOUTS[self.profiles.release].users)
        if not ratings.is_file():
            return []
        if not people.is_file():
            raise DataError(f"{people} is missing; get {self.profiles.release} again")
        return [ratings, people]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        movielens.read(connection, files[0], self.profiles.release).create("ratings")
        self._check(connection, files)
        histories = connection.sql(
            f"""SELECT "user"::BIGINT AS "user", item::VARCHAR AS item, 0 AS period, {LAST_IS_VALID} AS part
                FROM (SELECT *, row_number() OVER (ORDER BY time, rowid) AS nth FROM ratings WHERE time IS NOT NULL)
                ORDER BY nth"""
        )
        people = users(files[1], self.profiles.release)
        tasks: dict[str, Relation] = {name: _labels(connection, people, name) for name in self.profiles.tasks}
        return with_tasks(connection, histories, tasks, self.split)

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return True

    def period_name(self, files: Sequence[Path], period: int) -> str:
        return [SOURCE, *self.profiles.tasks][period]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        """Where a row of the ratings stands."""
        return lines.place_of(files[:1], row, header=movielens.RATINGS[self.profiles.release].header)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        faulty = movielens.faulty_line(files[0], self.profiles.release, "data.profiles.release")
        return faulty or super().explain(files, error)

    def _check(self, connection: Connection, files: Sequence[Path]) -> None:
        """Refuse ratings without a user or a film, before rows are put in order of time."""
        for column in ("user", "item"):
            (row,) = connection.sql(f'SELECT min(rowid) FROM ratings WHERE "{column}" IS NULL').fetchall()[0]
            if row is not None:
                raise DataError(f"{self.place_of(files, row)}: {column} is not a whole number; {self.cure(column)}")
        untimed, rows = connection.sql("SELECT count(*) - count(time), count(*) FROM ratings").fetchall()[0]
        log.info("%s: %d of %d ratings have no time and are left out", self.name, untimed, rows)


def _labels(connection: Connection, people: Mapping[int, Mapping[str, str]], fact: str) -> Relation:
    labels = pa.array([facts[fact] for facts in people.values()], pa.string())
    connection.from_arrow(pa.table({"user": pa.array(people, pa.int64()), "item": labels})).create(f"people_{fact}")
    return connection.table(f"people_{fact}")
