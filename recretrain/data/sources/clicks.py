"""Logs of sessions: clicks without users, a session's in order of time; or ADER's period files made of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from recretrain.data.errors import DataError
from recretrain.data.sources import lines
from recretrain.data.sources.base import Connection, Generator, Relation, Source, quoted


@dataclass(frozen=True, kw_only=True)
class Clicks(Source):
    """A session is a user who comes once: its id stands in the column `user`."""

    generator: Generator | None

    raw_layout: ClassVar[str]  # the raw file, for people
    layout: ClassVar[str] = "the raw file, or ADER's period_0.txt, period_1.txt, ...,"

    @abstractmethod
    def raw_files(self, place: Path) -> list[Path]: ...

    @abstractmethod
    def raw_rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        """user, item, time of every click."""

    def files_in(self, place: Path) -> list[Path]:
        """ADER's files where there are any, else the raw one."""
        numbered = [f for f in place.glob("period_*.txt") if f.stem.removeprefix("period_").isdigit()]
        return sorted(numbered, key=_number) or self.raw_files(place)

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return bool(files) and files[0].name.startswith("period_")

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        if not self.brings_periods(files):
            return self.raw_rows(connection, files)
        for number, file in enumerate(files):
            if _number(file) != number:
                raise DataError(f"{file.parent}: period_{number}.txt is missing; get all files from the same place")
        parts = [
            f"""SELECT TRY_CAST(session AS BIGINT) AS "user", TRY_CAST(item AS BIGINT) AS item, {number} AS period
                FROM read_csv({quoted(file)}, delim = ' ', header = false, quote = '', null_padding = true,
                              columns = {{'session': 'VARCHAR', 'item': 'VARCHAR'}})"""
            for number, file in enumerate(files)
        ]
        return connection.sql(" UNION ALL ".join(parts))

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row, header=0 if self.brings_periods(files) else self.header_lines)

    header_lines: ClassVar[int] = 0

    def generates(self) -> Generator | None:
        return self.generator


def _number(file: Path) -> int:
    return int(file.stem.removeprefix("period_"))
