"""A source knows one raw layout: which files it needs and how DuckDB reads them as rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.cut import Cut

Connection: TypeAlias = duckdb.DuckDBPyConnection
Relation: TypeAlias = duckdb.DuckDBPyRelation


class Generator(Protocol):
    """Writes files in the raw layout; all its options are attributes of a frozen dataclass."""

    version: ClassVar[int]

    def write(self, folder: Path) -> list[Path]: ...


@dataclass(frozen=True)
class Drop:
    """A filter that the configuration asked for."""

    step: str  # its name in the log and in stream.json
    rows: str  # SQL: which of `interactions` (row, user, item, time, ...) go
    until_stable: bool = False  # again, until nothing goes


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """Rows of one raw layout. Only `name` and `memory_limit` do not shape the data."""

    name: str
    about: str  # one line for `recretrain data list`
    origin: str  # where to get it
    terms: str
    path: str  # relative to the data root, or absolute
    source: str  # auto | raw | synthetic
    cut: Cut | None  # into periods; null where the rows bring their own
    memory_limit: str  # of DuckDB

    layout: ClassVar[str]  # the file names it expects, for people
    silent: ClassVar[frozenset[str]] = frozenset(
        {"name", "about", "origin", "terms", "path", "source", "cut", "memory_limit", "generator"}
    )

    def __post_init__(self) -> None:
        one_of("data.source", self.source, ("auto", "raw", "synthetic"))

    @abstractmethod
    def files_in(self, place: Path) -> list[Path]:
        """The raw files at `place` (a file or a folder), in reading order; none if it is not there."""

    @abstractmethod
    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        """Every raw row in file order: user, item, and where they exist time (unix seconds), rating, session, period.

        A value that is missing or of the wrong type is NULL; `prepare` finds it, and `place_of` says where it stands.
        """

    @abstractmethod
    def place_of(self, files: Sequence[Path], row: int) -> str:
        """File and line of raw row `row` (counted from 0), for a person."""

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        """What to tell the user when DuckDB cannot read the files; may raise a DataError that knows better."""
        return f"{', '.join(str(f) for f in files[:3])}: {error}"

    def find(self, root: Path) -> list[Path]:
        return self.files_in(root / self.path)

    def before_check(self, files: Sequence[Path]) -> list[Drop]:
        """Drops made before rows with missing values are an error."""
        return []

    def after_check(self, files: Sequence[Path]) -> list[Drop]:
        return []

    def brings_periods(self, files: Sequence[Path]) -> bool:
        """Whether the rows have a column `period`, so that no cut is made."""
        return False

    @property
    def needed_cut(self) -> Cut:
        """The cut of rows without periods of their own; a DataError where there is none."""
        if self.cut is None:
            raise DataError(
                f"{self.name}: data.cut is not set, and these data bring no periods of their own; choose a cut, for "
                "example cut@data.cut=forty"
            )
        return self.cut

    def period_name(self, period: int) -> str:
        """What people call one of the source's own periods."""
        return str(period)

    @property
    def repeats_are_errors(self) -> bool:
        return False

    def cure(self, column: str) -> str:
        """What to do about a row without a usable `column`."""
        return "mend or remove it"

    def vocabulary(self, files: Sequence[Path]) -> tuple[int, int] | None:
        """Numbers of users and items where the source's own ids 0..n-1 are to be kept."""
        return None

    def write_candidates(self, files: Sequence[Path], folder: Path) -> None:
        """Write candidates_NNN.npy into `folder`, if the source brings candidates."""
        return

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        """Write what else is known (data.fields, titles) into `folder`, if the source knows anything.

        Tables `users` and `items` (id, key) say which ids the keys of the raw rows were given.
        """
        return

    def generates(self) -> Generator | None:
        return None

    def synthesize(self, folder: Path) -> list[Path]:
        """Write generated files in this raw layout."""
        generator = self.generates()
        if generator is None:
            raise DataError(f"there is no generator for {self.name}; set data.source=raw")
        folder.mkdir(parents=True, exist_ok=True)
        return generator.write(folder)

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        """The options that shape the data which come of these files (none yet, where they are to be generated)."""
        return {f.name: plain(getattr(self, f.name)) for f in fields(self) if f.name not in self.silent}

    def missing(self, root: Path) -> str:
        """What to do when `find` finds nothing."""
        lines = [
            f"{self.name}: {self.layout} not found at {root / self.path}",
            f"  get it:  {self.origin}",
            f"  terms:   {self.terms}",
            f"  put it:  at {root / self.path}, or set data.path (or paths.data, env RECRETRAIN_DATA)",
        ]
        if self.generates() is not None:
            lines.append("  without: data.source=synthetic runs on generated data")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class EventSource(Source):
    """A log of single events, filtered in this order: rating, own drops, users, items, core, repeats."""

    min_rating: float | None  # drop ratings below
    min_user_interactions: int  # one pass, users first; 0: off
    min_item_interactions: int  # one pass, after the users; 0: off
    k_core: int  # users and items both, until nothing goes; 0: off
    repeats: str  # a (user, item) pair again: keep | first | error

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("data.repeats", self.repeats, ("keep", "first", "error"))

    @property
    def repeats_are_errors(self) -> bool:
        return self.repeats == "error"

    def before_check(self, files: Sequence[Path]) -> list[Drop]:
        if self.min_rating is None:
            return []
        return [Drop(f"min_rating={self.min_rating:g}", f"rating < {float(self.min_rating)}")]

    def after_check(self, files: Sequence[Path]) -> list[Drop]:
        least = {"user": self.min_user_interactions, "item": self.min_item_interactions}
        drops = [Drop(f"min_{kind}_interactions={n}", rare(kind, n)) for kind, n in least.items() if n]
        if self.k_core:
            both = f"{rare('user', self.k_core)} OR {rare('item', self.k_core)}"
            drops.append(Drop(f"k_core={self.k_core}", both, until_stable=True))
        if self.repeats == "first":
            drops.append(Drop("repeats=first", LATER_OF_A_PAIR))
        return drops


LATER_OF_A_PAIR = """row IN (
    SELECT row FROM (
        SELECT row, row_number() OVER (PARTITION BY "user", item ORDER BY time, row) AS nth FROM interactions
    ) WHERE nth > 1
)"""


def rare(column: str, least: int) -> str:
    """SQL: the row's user (or item) has fewer than `least` rows."""
    return f'"{column}" IN (SELECT "{column}" FROM interactions GROUP BY "{column}" HAVING count(*) < {int(least)})'


def one_of(key: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise DataError(f"{key} is {value!r}; it may be {', '.join(allowed)}")


def quoted(text: str | Path) -> str:
    """A string literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"


def name_of(column: str) -> str:
    """A column name of SQL."""
    return '"' + column.replace('"', '""') + '"'


def plain(value: Any) -> Any:
    """Containers of any kind as dict and list, for JSON."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    return value
