"""Quotes of film critics: the films of one genre are the target domain, all others the source."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import duckdb
import pyarrow as pa

from recretrain.errors import DataError
from recretrain.preparation.sources import reading
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.facts import split_lines
from recretrain.preparation.sources.reviews import ReviewedDomains, TwoReviewedDomains
from recretrain.preparation.sql import Connection

QUOTES = "critics.csv"
EARLIEST = "1900-01-01"  # dates before are placeholders


@dataclass(frozen=True, kw_only=True)
class Genre(ReviewedDomains):
    """Domains by a genre, which the films' titles tell."""

    genre: str  # of the target domain
    films: str  # MovieLens' movies.dat, beside the quotes or absolute


@dataclass(frozen=True, kw_only=True)
class RTCritics(TwoReviewedDomains):
    """Critics who find films fresh (1) or rotten (0), and say why."""

    domains: Genre

    layout: ClassVar[str] = QUOTES

    def files_in(self, place: Path) -> list[Path]:
        quotes, films = place / QUOTES, place / self.domains.films
        if not quotes.is_file():
            return []
        if not films.is_file():
            raise DataError(
                f"{films} is missing, which tells the genres of films; get ml-1m, or set data.domains.films"
            )
        return [quotes, films]

    def reviews(self, connection: Connection, files: Sequence[Path]) -> None:
        genres = _genres(files[1])
        if not any(self.domains.genre in of_film for of_film in genres.values()):
            known = ", ".join(sorted({genre for of_film in genres.values() for genre in of_film}))
            raise DataError(f"data.domains.genre={self.domains.genre}: no film is of it; {files[1].name} has {known}")
        reading.scan(connection, files[:1]).project(
            """nullif(trim(critic), '') AS "user", nullif(rtid, '') AS item,
               CASE fresh WHEN 'fresh' THEN 1.0 WHEN 'rotten' THEN 0.0 END AS rating,
               coalesce(epoch(TRY_CAST(review_date AS TIMESTAMP)), 0) AS time, title AS film, quote AS text"""
        ).create("quotes")
        source, target = self.domains.names
        titles = [str(title) for (title,) in connection.sql("SELECT DISTINCT film FROM quotes").fetchall()]
        space = {title: genres.get(plain_title(title)) for title in titles}
        known_films = {title: target if self.domains.genre in of else source for title, of in space.items() if of}
        films = pa.table({"film": list(known_films), "space": list(known_films.values())})
        connection.from_arrow(films).create("genres")
        connection.execute(
            """CREATE TABLE reviews AS
               SELECT * EXCLUDE line FROM (
                   SELECT "user", item, rating, time, space, text, quotes.rowid AS line
                   FROM quotes LEFT JOIN genres USING (film)
               )
               ORDER BY line"""
        )

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        usual = super().before_check(files)
        dated = [] if self.split else [Deletion("no date", f"time < epoch(TIMESTAMP '{EARLIEST}') OR time = 0")]
        return [
            Deletion("no critic or verdict", '"user" IS NULL OR rating IS NULL'),
            *usual,
            Deletion("no genre", "space IS NULL"),
            *dated,
        ]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return reading.place_of(files[:1], row)

    def check_read(self, connection: Connection, files: Sequence[Path]) -> None:
        reading.check_read(connection, files[:1])

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        reading.check_fields(files[:1])
        return super().explain(files, error)


def plain_title(title: str) -> str:
    """A title's letters and digits, without its year and other names; an article that stands last comes first."""
    name = re.sub(r"\s*\([^)]*\)", "", title).strip().lower().replace("&", "and")
    name = re.sub(r"^(.*), (the|a|an|la|le|les|il|el|der|die|das|l')$", r"\2 \1", name)
    return re.sub(r"[^a-z0-9]", "", name)


def _genres(file: Path) -> dict[str, set[str]]:
    """Genres by plain title; films of one title have those of all."""
    found: dict[str, set[str]] = {}
    for _, (_, title, genres) in split_lines(file, "::", 3, "latin-1"):
        found.setdefault(plain_title(title), set()).update(genres.split("|"))
    return found
