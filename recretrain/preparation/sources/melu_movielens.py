"""MovieLens with facts about users and films, and MeLU's four states as its periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines, movielens
from recretrain.preparation.sources.base import Source
from recretrain.preparation.sources.facts import (
    UNKNOWN,
    Fact,
    keys_of,
    numbered,
    split_lines,
    whole,
    words,
    write_facts,
)
from recretrain.preparation.sources.movielens_facts import IMDB, LAYOUTS, USER, Film, films, imdb, users
from recretrain.preparation.sources.states import STATES, FourStates, drawn, with_states
from recretrain.preparation.sql import Connection, Relation
from recretrain.values import AtLeast1

NEW_USERS = "melu_new_users.txt"
EXTRA = "movies_extrainfos.dat"
VOCABULARIES = {name: f"m_{name}.txt" for name in (*IMDB, *USER)} | {"zip": "m_zipcode.txt"}
CURES = {
    EXTRA: "get it from github.com/hoyeoplee/MeLU, or set data.films.facts=genres (data=movielens_genres)",
    NEW_USERS: "it lists the ids of MeLU's new users, one a line; without it set data.states.new_users=random",
}


@dataclass(frozen=True, kw_only=True)
class Films:
    """Which release of MovieLens it is, and which facts about its films are taken."""

    release: movielens.Release
    facts: Literal["imdb", "genres"]  # imdb: movies_extrainfos.dat, ml-1m only
    merge_ids: Mapping[int, int]  # films that are one under two ids: id in the ratings -> id that it is read as
    actor_size: AtLeast1 | None  # of the released table, beside its vocabulary; null: as many as there are

    def __post_init__(self) -> None:
        if self.facts == "imdb" and self.release != "ml-1m":
            raise DataError(
                f"data.films.facts=imdb are known for ml-1m, not for data.films.release={self.release}; "
                "set data.films.facts=genres"
            )


@dataclass(frozen=True, kw_only=True)
class FilmStates(FourStates):
    """Which users and which films are new."""

    new_users: Literal["released", "random"]  # those of melu_new_users.txt, or a share by the seed
    missing_year: Literal["error", "existing"]  # a film without a year


@dataclass(frozen=True, kw_only=True)
class MovieLensFacts(Source):
    """Ratings of films, with facts; in the four states, or cut by time."""

    films: Films
    states: FilmStates | None  # are the periods, and no times are read; null: `cut` cuts by time

    layout: ClassVar[str] = "ratings, films and users of MovieLens"

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        return super().options(files) | {"states": self.states is not None}

    def files_in(self, place: Path) -> list[Path]:
        """Ratings, films, users, and what else shapes the data; a DataError if there are ratings alone."""
        ratings = place / movielens.RATINGS[self.films.release].file
        if not ratings.is_file():
            return []
        needed = [place / name for name in self._needed()]
        for file in needed:
            if not file.is_file():
                raise DataError(f"{file} is missing; {CURES.get(file.name, f'get {self.films.release} again')}")
        return [ratings, *needed, *(file for name in self._vocabularies() if (file := place / name).is_file())]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        ratings = movielens.read(connection, files[0], self.films.release)
        if self.films.merge_ids:
            cases = " ".join(f"WHEN {int(old)} THEN {int(new)}" for old, new in self.films.merge_ids.items())
            ratings = ratings.project(f"* REPLACE (CASE item {cases} ELSE item END AS item)")
        if self.states is None:
            return ratings
        ratings = ratings.project('"user", item, rating')
        new_users = _released(files) if self.states.new_users == "released" else drawn(ratings, self.states)
        return with_states(connection, ratings, new_users, self._new_films(files, self.states))

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return self.states is not None

    def period_name(self, files: Sequence[Path], period: int) -> str:
        return STATES[period]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files[:1], row, header=movielens.RATINGS[self.films.release].header)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        faulty = movielens.faulty_line(files[0], self.films.release, "data.films.release")
        return faulty or super().explain(files, error)

    def cure(self, column: str) -> str:
        if column == "time":
            return (
                "the copies of ml-1m that lack times lack those of ratings 1-3 only, so that the timed rows are a "
                "biased sample, and are not taken; get ratings.dat from grouplens.org, use another release "
                "(data.films.release=ml-100k data.films.facts=genres), or data=movielens, whose states need no times"
            )
        if column == "period":
            return (
                f"{LAYOUTS[self.films.release].films} has no line for its film, or no year in it; get all files from "
                "the same place, or let films without a year be existing ones with data.states.missing_year=existing"
            )
        return super().cure(column)

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        known = films(files[1], self.films.release)
        keys = keys_of(connection, "items")
        facts = {"user": self._user_facts(connection, files), "item": self._film_facts(keys, known, files)}
        write_facts(folder, facts, [known[key].title if key in known else UNKNOWN for key in keys])

    def _needed(self) -> list[str]:
        layout = LAYOUTS[self.films.release]
        return [
            layout.films,
            *([layout.users] if layout.users else []),
            *([EXTRA] if self.films.facts == "imdb" else []),
            *([NEW_USERS] if self.states and self.states.new_users == "released" else []),
        ]

    def _vocabularies(self) -> list[str]:
        """Vocabulary files of MeLU's authors; other releases have other values."""
        if self.films.release != "ml-1m":
            return []
        return [VOCABULARIES[name] for name in (*(IMDB if self.films.facts == "imdb" else ()), *USER)]

    def _new_films(self, files: Sequence[Path], states: FilmStates) -> dict[int, bool]:
        """Whether a film is new; films without a year are left out, unless they are to be existing ones."""
        years = {key: film.year for key, film in films(files[1], self.films.release).items()}
        return {
            key: year is not None and year >= states.new_items_from
            for key, year in years.items()
            if year is not None or states.missing_year == "existing"
        }

    def _film_facts(self, keys: Sequence[int], known: Mapping[int, Film], files: Sequence[Path]) -> list[Fact]:
        if self.films.facts == "genres":
            return [numbered("genre", [known[key].genres if key in known else [UNKNOWN] for key in keys], many=True)]
        added = imdb(_named(files, EXTRA)[0])
        return [
            self._numbered(name, [added[key][name] if key in added else [UNKNOWN] for key in keys], files)
            for name in IMDB
        ]

    def _user_facts(self, connection: Connection, files: Sequence[Path]) -> list[Fact]:
        if LAYOUTS[self.films.release].users is None:
            return []
        known = users(files[2], self.films.release)
        keys = keys_of(connection, "users")
        return [
            self._numbered(name, [[known[key][name] if key in known else UNKNOWN] for key in keys], files)
            for name in USER
        ]

    def _numbered(self, name: str, values: Sequence[Sequence[str]], files: Sequence[Path]) -> Fact:
        vocabulary = [word for file in _named(files, VOCABULARIES[name]) for word in words(file)]
        size = self.films.actor_size if name == "actor" and vocabulary else None
        many = name in ("genre", "director", "actor")
        return numbered(name, values, many=many, vocabulary=vocabulary, size=size or 0)


def _released(files: Sequence[Path]) -> list[int]:
    """The new users of MeLU's own split."""
    file = _named(files, NEW_USERS)[0]
    return [whole(file, number, text) for number, (text,) in split_lines(file, "\n", 1, "utf-8")]


def _named(files: Sequence[Path], name: str) -> list[Path]:
    return [file for file in files if file.name == name]
