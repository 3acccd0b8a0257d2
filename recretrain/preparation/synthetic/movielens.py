"""Ratings, users and films in the layout of MovieLens 1M with MeLU's additions, generated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from recretrain.preparation.synthetic.opinions import OpinionPoll, stars
from recretrain.preparation.synthetic.tastes import Floats, Ints
from recretrain.values import Share

RATES = ("PG-13", "UNRATED", "NC-17", "PG", "G", "R")
GENRES = ("Action", "Comedy", "Documentary", "Drama", "Family", "Horror", "Music", "Romance", "Thriller", "Western")
AGES = (1, 18, 25, 35, 45, 50, 56)
OCCUPATIONS = 21
START, LAST_START = 956_703_932, 978_000_000  # of users, whose ratings are a minute apart
FIRST_NEW = 1998


@dataclass(frozen=True)
class Cast:
    """Facts about users and films, as numbers."""

    genre: Ints  # [films, 3], perhaps the same twice
    rate: Ints  # [films]
    director: Ints  # [films]
    actor: Ints  # [films, 4]
    gender: Ints  # [users]
    age: Ints  # [users]
    occupation: Ints  # [users]
    zip: Ints  # [users]

    @property
    def shares(self) -> Floats:
        """Share of every genre in every film.  # [films, genres]"""
        shares: Floats = np.eye(len(GENRES))[self.genre].mean(axis=1)
        return shares

    def liking(self, rng: np.random.Generator) -> Floats:
        """Liking by facts: ages and genders agree on genres, all users on directors, actors, rates. # [users, films]"""
        by_age = rng.normal(size=(len(AGES), len(GENRES)))[self.age]
        by_gender = rng.normal(size=(2, len(GENRES)))[self.gender]
        everybody = 0.7 * rng.normal(size=self.director.max() + 1)[self.director]
        everybody += 0.7 * rng.normal(size=self.actor.max() + 1)[self.actor].mean(axis=1)
        everybody += 0.4 * rng.normal(size=len(RATES))[self.rate]
        liking: Floats = (by_age + by_gender) @ self.shares.T + everybody
        return liking


@dataclass(frozen=True, kw_only=True)
class MovieLensFilms(OpinionPoll):
    """Ratings of films by users of whom facts are known."""

    new_users: Share

    def write(self, folder: Path) -> list[Path]:
        rng = np.random.default_rng(self.seed)
        cast = self.cast(rng)
        users, films, rating = self.rated(cast, rng)
        years = self.years(FIRST_NEW, rng).tolist()
        new = rng.permutation(self.users)[: round(self.new_users * self.users)]
        ratings = zip(users + 1, films + 1, rating, self._times(users, rng), strict=True)
        texts = {
            "ratings.dat": ("::".join(map(str, row)) for row in ratings),
            "users.dat": _users(cast),
            "movies.dat": (f"{n}::{title}::{'|'.join(genres)}" for n, title, genres in _films(cast, years)),
            "movies_extrainfos.dat": _extra(cast, years),
            "melu_new_users.txt": (str(user) for user in np.sort(new) + 1),
        }
        return [_write(folder / name, text) for name, text in texts.items()]

    def rated(self, cast: Cast, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """Users, films and stars of all ratings, user after user.  # [ratings] each"""
        users, films = self.pairs(rng)
        return users, films, stars(self.opinions(cast.liking(rng), cast.shares, users, films, rng), 3.6, 1.1, 5)

    def cast(self, rng: np.random.Generator) -> Cast:
        zips = rng.choice(100_000, max(self.users // 3, 1), replace=False)
        return Cast(
            genre=rng.integers(len(GENRES), size=(self.items, 3)),
            rate=rng.integers(len(RATES), size=self.items),
            director=rng.integers(max(self.items // 8, 1), size=self.items),
            actor=rng.integers(max(self.items // 3, 4), size=(self.items, 4)),
            gender=rng.integers(2, size=self.users),
            age=rng.integers(len(AGES), size=self.users),
            occupation=rng.integers(OCCUPATIONS, size=self.users),
            zip=rng.choice(zips, self.users),
        )

    def _times(self, users: Ints, rng: np.random.Generator) -> Ints:
        """Times of ratings: those of a user, which stand together, follow each other by the minute."""
        came = rng.integers(START, LAST_START, size=self.users)
        return came[users] + 60 * (np.arange(len(users)) - np.searchsorted(users, users))


@dataclass(frozen=True, kw_only=True)
class MovieLensViewers(MovieLensFilms):
    """The same, but users also see rather what they like, so that what they have seen tells who they are."""

    eagerness: ClassVar[float] = 0.6  # by which liking counts in the choice, beside how popular the film is

    def rated(self, cast: Cast, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        liking = cast.liking(rng)
        users, films = self.pairs(rng, self.eagerness * liking)
        return users, films, stars(self.opinions(liking, cast.shares, users, films, rng), 3.6, 1.1, 5)


def _users(cast: Cast) -> Iterable[str]:
    rows = zip(cast.gender, cast.age, cast.occupation, cast.zip, strict=True)
    for user, (gender, age, occupation, code) in enumerate(rows, start=1):
        yield f"{user}::{'MF'[gender]}::{AGES[age]}::{occupation}::{code:05d}"


def _films(cast: Cast, years: list[int]) -> Iterable[tuple[int, str, list[str]]]:
    for film, (year, genres) in enumerate(zip(years, cast.genre, strict=True), start=1):
        yield film, f"Film {film} ({year})", sorted({GENRES[genre] for genre in genres})


def _extra(cast: Cast, years: list[int]) -> Iterable[str]:
    """A line per film; now and then a fact is missing or a director has a note, as in the published file."""
    for index, (film, _, genres) in enumerate(_films(cast, years)):
        director = "N/A" if film % 50 == 0 else f"Director {cast.director[index]}" + " (co-director)" * (film % 20 == 0)
        actors = ", ".join(f"Actor {actor}" for actor in np.unique(cast.actor[index]))
        fields = [film, f"Film {film}", years[index], RATES[cast.rate[index]], "N/A", ", ".join(genres), director]
        yield "::".join(map(str, [*fields, "N/A", actors, "A generated film.", "N/A"]))


def _write(file: Path, text: Iterable[str]) -> Path:
    with file.open("w") as out:
        out.writelines(f"{line}\n" for line in text)
    return file
