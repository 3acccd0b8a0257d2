"""MovieLens with what is known of users and films, and MeLU's four states as its periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines, movielens
from recretrain.preparation.sources.base import Connection, Generator, Relation, Source, one_of
from recretrain.preparation.sources.facts import UNKNOWN, Fact, keys_of, numbered, records, whole, words, write_facts
from recretrain.preparation.sources.movielens_facts import IMDB, LAYOUTS, USER, Film, films, imdb, users
from recretrain.preparation.sources.states import STATES, check_share, drawn, with_states

NEW_USERS = "melu_new_users.txt"
EXTRA = "movies_extrainfos.dat"
VOCABULARIES = {name: f"m_{name}.txt" for name in (*IMDB, *USER)} | {"zip": "m_zipcode.txt"}
CURES = {
    EXTRA: "get it from github.com/hoyeoplee/MeLU, or set data.facts=genres (data=movielens_genres)",
    NEW_USERS: "it lists the ids of MeLU's new users, one a line; without it set data.new_users=random",
}


@dataclass(frozen=True, kw_only=True)
class MovieLensFacts(Source):
    release: str  # ml-1m | ml-100k | ml-25m
    facts: str  # of films: imdb (movies_extrainfos.dat, ml-1m only) | genres
    merge_ids: Mapping[int, int]  # films that are one under two ids: id in the ratings -> id that it is read as
    states: bool  # MeLU's four states are the periods, and no times are read; else `cut` cuts by time
    new_users: str  # released | random
    new_user_share: float  # where they are random
    new_users_seed: int
    new_items_from: int  # first year of new films
    missing_year: str  # a film without a year: error | existing
    actor_size: int | None  # of the released table, beside its vocabulary; null: as many as there are
    generator: Generator | None

    layout: ClassVar[str] = "ratings, films and users of MovieLens"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("data.release", self.release, tuple(LAYOUTS))
        one_of("data.facts", self.facts, ("imdb", "genres"))
        one_of("data.new_users", self.new_users, ("released", "random"))
        check_share(self.new_user_share)
        one_of("data.missing_year", self.missing_year, ("error", "existing"))
        if self.facts == "imdb" and self.release != "ml-1m":
            raise DataError(f"data.facts=imdb are there for ml-1m, not for {self.release}; set data.facts=genres")

    def files_in(self, place: Path) -> list[Path]:
        """Ratings, films, users, and what else shapes the data; a DataError if there are ratings alone."""
        ratings = place / movielens.RELEASES[self.release].file
        if not ratings.is_file():
            return []
        needed = [place / name for name in self._needed()]
        for file in needed:
            if not file.is_file():
                raise DataError(f"{file} is missing; {CURES.get(file.name, f'get {self.release} again')}")
        return [ratings, *needed, *(file for name in self._vocabularies() if (file := place / name).is_file())]

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        ratings = movielens.read(connection, files[0], self.release)
        if self.merge_ids:
            cases = " ".join(f"WHEN {int(old)} THEN {int(new)}" for old, new in self.merge_ids.items())
            ratings = ratings.project(f"* REPLACE (CASE item {cases} ELSE item END AS item)")
        if not self.states:
            return ratings
        ratings = ratings.project('"user", item, rating')
        return with_states(connection, ratings, self._new_users(ratings, files), self._new_films(files))

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return self.states

    def period_name(self, period: int) -> str:
        return STATES[period]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files[:1], row, header=movielens.RELEASES[self.release].header)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        return movielens.faulty_line(files[0], self.release) or super().explain(files, error)

    def cure(self, column: str) -> str:
        if column == "time":
            return (
                "the copies of ml-1m that lack times lack those of ratings 1-3 only, so that the timed rows are a "
                "biased sample, and are not taken; get ratings.dat from grouplens.org, use another release "
                "(data.release=ml-100k data.facts=genres), or data=movielens, whose states need no times"
            )
        if column == "period":
            return (
                f"{LAYOUTS[self.release].films} has no line for its film, or no year in it; get all files from the "
                "same place, or let films without a year be existing ones with data.missing_year=existing"
            )
        return super().cure(column)

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        told = films(files[1], self.release)
        keys = keys_of(connection, "items")
        fields = {"user": self._user_fields(connection, files), "item": self._item_fields(keys, told, files)}
        write_facts(folder, fields, [told[key].title if key in told else UNKNOWN for key in keys])

    def generates(self) -> Generator | None:
        return self.generator

    def _needed(self) -> list[str]:
        layout = LAYOUTS[self.release]
        return [
            layout.films,
            *([layout.users] if layout.users else []),
            *([EXTRA] if self.facts == "imdb" else []),
            *([NEW_USERS] if self.states and self.new_users == "released" else []),
        ]

    def _vocabularies(self) -> list[str]:
        """Those of MeLU's authors; the values of other releases are others."""
        if self.release != "ml-1m":
            return []
        return [VOCABULARIES[name] for name in (*(IMDB if self.facts == "imdb" else ()), *USER)]

    def _new_users(self, ratings: Relation, files: Sequence[Path]) -> list[int]:
        if self.new_users == "random":
            return drawn(ratings, self.new_user_share, self.new_users_seed)
        file = _named(files, NEW_USERS)[0]
        return [whole(file, number, text) for number, (text,) in records(file, "\n", 1, "utf-8")]

    def _new_films(self, files: Sequence[Path]) -> dict[int, bool]:
        """Whether a film is new; films without a year are left out, unless they are to be existing ones."""
        years = {key: film.year for key, film in films(files[1], self.release).items()}
        return {
            key: year is not None and year >= self.new_items_from
            for key, year in years.items()
            if year is not None or self.missing_year == "existing"
        }

    def _item_fields(self, keys: Sequence[int], told: Mapping[int, Film], files: Sequence[Path]) -> list[Fact]:
        if self.facts == "genres":
            return [numbered("genre", [told[key].genres if key in told else [UNKNOWN] for key in keys], many=True)]
        known = imdb(_named(files, EXTRA)[0])
        return [
            self._numbered(name, [known[key][name] if key in known else [UNKNOWN] for key in keys], files)
            for name in IMDB
        ]

    def _user_fields(self, connection: Connection, files: Sequence[Path]) -> list[Fact]:
        if LAYOUTS[self.release].users is None:
            return []
        known = users(files[2], self.release)
        keys = keys_of(connection, "users")
        return [
            self._numbered(name, [[known[key][name] if key in known else UNKNOWN] for key in keys], files)
            for name in USER
        ]

    def _numbered(self, name: str, told: Sequence[Sequence[str]], files: Sequence[Path]) -> Fact:
        vocabulary = [word for file in _named(files, VOCABULARIES[name]) for word in words(file)]
        size = self.actor_size if name == "actor" and vocabulary else None
        return numbered(name, told, many=name in ("genre", "director", "actor"), vocabulary=vocabulary, size=size or 0)


def _named(files: Sequence[Path], name: str) -> list[Path]:
    return [file for file in files if file.name == name]
