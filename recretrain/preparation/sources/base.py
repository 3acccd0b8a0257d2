"""A source knows one raw layout: which files it needs and how DuckDB reads them as rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, get_args, get_type_hints

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.cut import Cut
from recretrain.preparation.sources import lines, own_paths
from recretrain.preparation.sql import Connection, Relation
from recretrain.records import OUTSIDE_DIGEST, changes_nothing
from recretrain.values import Name

BY_CONTENT = {"name", "path", "source", "generator"}  # what comes of them is known by what is in the files
APART = {"cut"}  # in the digest under a name of its own, where a cut is made


class Generator(Protocol):
    """Writes files in a raw layout; all its options are attributes of a frozen dataclass."""

    version: ClassVar[int]

    def write(self, folder: Path) -> list[Path]: ...


@dataclass(frozen=True)
class Deletion:
    """Rows that a filter of the configuration removes."""

    step: str  # the filter's name in the log and in stream.json
    rows: str  # condition of SQL on `interactions` (row, user, item, time, ...)
    until_stable: bool = False  # repeat it until no row is removed


OWN = "your own"


@dataclass(frozen=True, kw_only=True)
class About:
    """A card for people."""

    summary: str  # one line for `recretrain data list`
    origin: str  # where to get the data; OWN: the user has them
    terms: str


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """Rows of one raw layout, and how they become periods."""

    name: Name
    about: About
    path: str  # relative to the data root, or absolute; of one's own tables also to the working folder
    source: Literal["auto", "raw", "synthetic"]
    cut: Cut | None  # into periods; null where the rows bring their own
    generator: Generator | None  # of files in this layout; null where there is none

    layout: ClassVar[str]  # the file names it expects, for people
    own: ClassVar[bool] = False  # whether the files are the user's own tables, which may stand in the working folder
    time_key: ClassVar[str | None] = None  # of the configuration, by which the user says the unit of times

    @abstractmethod
    def files_in(self, place: Path) -> list[Path]:
        """The raw files at `place` (a file or a folder), in reading order; none if it does not exist."""

    @abstractmethod
    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        """Every raw row in file order: user, item, and where they exist time (unix seconds), rating, session, period.

        Also where they exist: part (one of recretrain.preparation.checks.PARTS), space (the name of the item's
        vocabulary; ids of different spaces are different items), tokens (numbers of the words of the row's text), and
        any column that the source itself needs. A value that is missing or of the wrong type is NULL; `prepare` finds
        it, and `place_of` says where it stands.
        """

    @abstractmethod
    def place_of(self, files: Sequence[Path], row: int) -> str:
        """File and line of raw row `row` (counted from 0), for a person."""

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        """The message for the user when DuckDB cannot read the files; may raise a DataError that knows better."""
        for file in files:
            if file.suffix != ".parquet":
                lines.check_lengths(file)
        if "unicode" in str(error).lower() or "utf-8" in str(error).lower():
            for file in files:
                lines.check_utf8(file)
        return f"{', '.join(str(f) for f in files[:3])}: {lines.in_short(error)}"

    def place(self, root: Path) -> Path:
        """Where the raw files are looked for."""
        return own_paths.place_of(root, self.path) if self.own else root / Path(self.path).expanduser()

    def find(self, root: Path) -> list[Path]:
        return self.files_in(self.place(root))

    def known_as(self, file: Path) -> str:
        """The name of a raw file in the digest: what it tells beside the file's contents."""
        return file.name

    def check_read(self, connection: Connection, files: Sequence[Path]) -> None:
        """Raise a DataError for what was left out while the rows were read, if that was more than blank lines."""
        return

    @property
    def time_unit(self) -> str:
        """The unit of the raw times, as `sources.times` names it."""
        return "s"

    @property
    def drops_nulls(self) -> bool:
        """Whether rows with missing values are dropped, and no error."""
        return False

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        """Deletions made before rows with missing values are an error."""
        return []

    def after_check(self, files: Sequence[Path]) -> list[Deletion]:
        return []

    def after_filters(self, connection: Connection) -> list[Deletion]:
        """Set what depends on the rows that are left, such as `part`; return the deletions that follow from it.

        Table `interactions` holds these rows: row (in the raw files) and the columns of `rows`. It may be replaced by
        one with more columns.
        """
        return []

    @property
    def spaces(self) -> Sequence[str]:
        """Names of spaces that come first, in this order; others follow as they appear."""
        return ()

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

    def period_name(self, files: Sequence[Path], period: int) -> str:
        """The name, for people, of one of the source's own periods."""
        return str(period)

    @property
    def repeats_are_errors(self) -> bool:
        return False

    def cure(self, column: str) -> str:
        """Advice about a row without a usable `column`."""
        return "mend or remove it"

    def vocabulary(self, files: Sequence[Path]) -> tuple[int, int] | None:
        """Numbers of users and items where the source's own ids 0..n-1 are to be kept."""
        return None

    def tokens(self, connection: Connection) -> Relation | None:
        """Columns position and tokens (a list of whole numbers) of every row of `stream`; None if it has no texts.

        Table `stream` holds the rows that are left: position (counted from 0 in order), row (in the raw files) and the
        columns of `rows`. A source that numbers words by the texts that are left does so here, and may leave them in a
        table `words` (id, word).
        """
        stream = connection.table("stream")
        return stream.project("position, tokens") if "tokens" in stream.columns else None

    def write_candidates(self, files: Sequence[Path], folder: Path) -> None:
        """Write candidates_NNN.npy into `folder`, if the source brings candidates."""
        return

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        """Write fields and titles (sources.facts) into `folder`, if the source knows any.

        Tables `users` and `items` (id, key, and space where the rows have it) say which ids the raw ones were given.
        """
        return

    @property
    def needed_generator(self) -> Generator:
        """The generator; a DataError where there is none."""
        if self.generator is None:
            raise DataError(f"there is no generator for {self.name}; set data.source=raw")
        return self.generator

    def synthesize(self, folder: Path) -> list[Path]:
        """Write generated files in this raw layout."""
        folder.mkdir(parents=True, exist_ok=True)
        return self.needed_generator.write(folder)

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        """Options that shape the data which come of these files (none yet, where they are to be generated)."""
        outside = {key.removeprefix("data.") for key in OUTSIDE_DIGEST} | BY_CONTENT | APART
        return flat({name: value for name, value in typed(self).items() if name not in outside})

    def lacks(self, root: Path) -> bool:
        """Whether it needs raw files and has none."""
        generated = self.source == "synthetic" or (self.source == "auto" and self.generator is not None)
        return not generated and not self.find(root)

    def missing(self, root: Path) -> str:
        """The message when `find` finds nothing."""
        given = [self.place(root), *([Path(self.path)] if self.own else [])]
        if broken := next((place for place in given if place.is_symlink()), None):
            return f"{self.name}: {broken} is a symbolic link that leads to no data; mend it, or set data.path"
        absent = f"{self.name}: {self.layout} not found at {self.place(root)}"
        if self.about.origin == OWN:
            return f"{absent}; mend data.path"
        generated = "" if self.generator is None else "; without it: data.source=synthetic runs on generated data"
        return (
            f"{absent}\n  get it: {self.about.origin} (terms: {self.about.terms})\n"
            f"  put it there, or set data.path (or paths.data, env RECRETRAIN_DATA){generated}"
        )


def flat(options: Mapping[str, Any], under: str = "data") -> dict[str, Any]:
    """Options for JSON, those of a group (a dataclass) beside the others, so that no grouping changes a digest.

    An option that came later (records.LATER) is left out until it is changed; `under` is the key of the group.
    """
    found: dict[str, Any] = {}
    for name, value in options.items():
        key = f"{under}.{name}"
        if is_dataclass(value) and not isinstance(value, type):
            found |= flat(typed(value), key)
        elif not changes_nothing(key, plain(value)):
            found[name] = plain(value)
    return found


def typed(options: Any) -> dict[str, Any]:
    """The fields of a dataclass, a number of a field that takes fractions as such: 1 and 1.0 are one digest."""
    hints = get_type_hints(type(options))
    found = {f.name: getattr(options, f.name) for f in fields(options)}
    return {
        name: float(value) if type(value) is int and _takes_fractions(hints[name]) else value
        for name, value in found.items()
    }


def _takes_fractions(hint: Any) -> bool:
    """Whether it is float, or float or None."""
    return hint is float or (float in get_args(hint) and int not in get_args(hint))


def plain(value: Any) -> Any:
    """Containers of any kind as dict and list, for JSON."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(v) for v in value]
    return value
