"""Two domains with users in common: the source domain tells who a user is, in the target domain some are cold.

Rows of the source domain are given (part `context`); rows of the target domain are learned or asked.
"""

from __future__ import annotations

import logging
from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from recretrain.errors import DataError
from recretrain.preparation.sources.base import Deletion, Source
from recretrain.preparation.sql import Connection, quoted
from recretrain.values import AtLeast0, AtLeast1, Name, Part, Within

AGAIN = """row IN (
    SELECT row FROM (
        SELECT row, row_number() OVER (PARTITION BY "user", item ORDER BY row) AS nth FROM interactions
    ) WHERE nth > 1
)"""
GONE = "gone"  # the part of rows that a split leaves out

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which of the users in both domains are cold, and how many of the others are left.

    Users are drawn by a seeded order of their ids. So the cold ones are the same for every `eta`, and the common ones
    of a smaller `eta` are among those of a larger one.
    """

    cold: Part  # of the users in both domains
    valid: Part  # of the cold users: to choose by; the others are asked
    eta: Annotated[float, Within(0, 1)]  # of the users in both domains who are not cold: learned from; others vanish
    seed: AtLeast0

    def roles(self, connection: Connection) -> dict[str, int]:
        """Make the table `roles` (user, role) of all users in both domains; return how many have each role."""
        connection.execute(
            f"""CREATE TABLE overlap AS
                SELECT "user", {", ".join(f"{self._order(draw)} AS {draw}" for draw in ("cold", "valid", "common"))}
                FROM (SELECT "user" FROM interactions GROUP BY "user" HAVING count(DISTINCT space) = 2)"""
        )
        ((overlap,),) = connection.sql("SELECT count(*) FROM overlap").fetchall()
        cold = int(self.cold * overlap)
        valid, common = int(self.valid * cold), int(self.eta * (overlap - cold))
        connection.execute(
            f"""CREATE TABLE roles AS
                SELECT "user", CASE WHEN NOT is_cold THEN CASE WHEN common <= {common} THEN 'common' ELSE '{GONE}' END
                                    WHEN valid <= {valid} THEN 'valid' ELSE 'test' END AS role
                FROM (
                    SELECT "user", is_cold, row_number() OVER (PARTITION BY is_cold ORDER BY valid, "user") AS valid,
                           row_number() OVER (PARTITION BY is_cold ORDER BY common, "user") AS common
                    FROM (
                        SELECT *, row_number() OVER (ORDER BY cold, "user") <= {cold} AS is_cold FROM overlap
                    )
                )"""
        )
        return {"valid": valid, "test": cold - valid, "common": common, GONE: overlap - cold - common}

    def _order(self, draw: str) -> str:
        return f"""md5_number_lower(concat_ws('|', {self.seed}, '{draw}', "user"))"""


@dataclass(frozen=True, kw_only=True)
class Core:
    """Rows that each domain keeps for itself: first items of enough rows, then users of enough rows that are left."""

    min_item: AtLeast1
    min_user: AtLeast1
    fixpoint: bool  # until both hold; else once each, so that some items fall below again

    def deletions(self) -> list[Deletion]:
        item, user = _rare("item", self.min_item), _rare("user", self.min_user)
        if self.fixpoint:
            return [Deletion(f"min_item={self.min_item}, min_user={self.min_user}", f"{item} OR {user}", True)]
        return [Deletion(f"min_item={self.min_item}", item), Deletion(f"min_user={self.min_user}", user)]


@dataclass(frozen=True, kw_only=True)
class Domains:
    """The names of the two domains, which are those of their spaces, and the rows that they keep."""

    source_name: Name
    target_name: Name
    core: Core

    def __post_init__(self) -> None:
        if self.source_name == self.target_name:
            raise DataError(f"data.domains.source_name and target_name are both {self.source_name}; name them apart")

    @property
    def names(self) -> tuple[str, str]:
        return self.source_name, self.target_name


@dataclass(frozen=True, kw_only=True)
class TwoDomains(Source, ABC):
    """Rows with a column `space`, the name of their domain; those of the source domain come first.

    With `split` they are one period, parted by users. Without, a cut makes periods, and whoever is new in the target
    domain of one, and was in the source domain before, is a cold user of it.
    """

    domains: Domains
    split: Split | None

    needs_time: ClassVar[str] = "give data with times, or a data.split by users"

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return self.split is not None

    def period_name(self, files: Sequence[Path], period: int) -> str:
        """The one period of a split by users, after its share of common users: a group of its questions too."""
        assert self.split is not None
        return f"eta {self.split.eta:g}"

    @property
    def spaces(self) -> Sequence[str]:
        return self.domains.names

    def after_check(self, files: Sequence[Path]) -> list[Deletion]:
        return [Deletion("a user's item again", AGAIN), *self.domains.core.deletions()]

    def after_filters(self, connection: Connection) -> list[Deletion]:
        columns = connection.table("interactions").columns
        if self.split is None and "time" not in columns:
            raise DataError(f"{self.name}: these rows have no times to cut by (data.split=null); {self.needs_time}")
        first = quoted(self.domains.source_name)
        parted = f"SELECT *, CASE WHEN space = {first} THEN 'context' ELSE 'train' END AS part FROM interactions"
        if self.split is None:
            connection.execute(f"CREATE OR REPLACE TABLE interactions AS {parted} ORDER BY row")
            return []
        self._check_roles(self.split, self.split.roles(connection))
        connection.execute(
            f"""CREATE OR REPLACE TABLE interactions AS
                SELECT * EXCLUDE (role) REPLACE (
                    CASE WHEN role = '{GONE}' THEN role
                         WHEN part = 'train' AND role IN ('valid', 'test') THEN role ELSE part END AS part
                ), 0 AS period
                FROM (SELECT drawn.*, role FROM ({parted}) AS drawn LEFT JOIN roles USING ("user"))
                ORDER BY row"""
        )
        return [Deletion(f"eta={self.split.eta:g}", f"part = '{GONE}'")]

    def _check_roles(self, split: Split, counts: dict[str, int]) -> None:
        told = f"{sum(counts.values())} users are in both domains"
        for role, key in (("test", "cold"), ("valid", "valid"), ("common", "eta")):
            if not counts[role]:
                raise DataError(
                    f"{self.name}: {told}, too few for one to be {role} with data.split.{key}="
                    f"{getattr(split, key):g}; raise it, or loosen data.domains.core"
                )
        log.info("%s: %s: %s", self.name, told, ", ".join(f"{count} {role}" for role, count in counts.items()))


def both_files(place: Path, source_file: str, target_file: str) -> list[Path]:
    """The files of the two domains at `place`; none if neither is there. Raises DataError where one alone is."""
    files = [place / name for name in (source_file, target_file)]
    found = [file for file in files if file.is_file()]
    if len(found) == 1:
        (lost,) = set(files) - set(found)
        raise DataError(
            f"{lost} is missing beside {found[0].name}; get it, or set data.domains.source_file and target_file"
        )
    return found


def _rare(column: str, least: int) -> str:
    """A condition of SQL: the row's user (or item) has fewer than `least` rows of the row's domain."""
    return f"""("{column}", space) IN (
        SELECT ("{column}", space) FROM interactions GROUP BY "{column}", space HAVING count(*) < {int(least)}
    )"""
