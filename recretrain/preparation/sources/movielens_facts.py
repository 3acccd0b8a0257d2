"""Facts about films and users in MovieLens' files, and those that MeLU's authors added from IMDb."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recretrain.preparation.sources.facts import UNKNOWN, bad_line, split_lines, whole


@dataclass(frozen=True)
class Film:
    title: str
    year: int | None
    genres: list[str]


@dataclass(frozen=True)
class Layout:
    """The files of facts of one release."""

    films: str
    users: str | None


LAYOUTS = {
    "ml-1m": Layout("movies.dat", "users.dat"),
    "ml-100k": Layout("u.item", "u.user"),
    "ml-25m": Layout("movies.csv", None),
}
IMDB = ("rate", "genre", "director", "actor")  # facts of films, in MeLU's order
USER = ("gender", "age", "occupation", "zip")


def films(file: Path, release: str) -> dict[int, Film]:
    """Films by their id."""
    read = {"ml-1m": _films_1m, "ml-100k": _films_100k, "ml-25m": _films_25m}
    return dict(read[release](file))


def users(file: Path, release: str) -> dict[int, dict[str, str]]:
    """gender, age, occupation and the first five characters of the zip code, by the user's id."""
    separator, order = ("::", USER) if release == "ml-1m" else ("|", ("age", "gender", "occupation", "zip"))
    known = {}
    for number, (user, *values) in split_lines(file, separator, 5, "latin-1"):
        facts = dict(zip(order, values, strict=True))
        known[whole(file, number, user)] = facts | {"zip": facts["zip"][:5]}
    return known


def imdb(file: Path) -> dict[int, dict[str, list[str]]]:
    """rate, genre, director and actor of films, by the film's id; IMDb does not know all."""
    known = {}
    for number, fields in split_lines(file, "::", 11, "utf-8"):
        rate, genre, director, actor = (fields[column] for column in (3, 5, 6, 8))
        without_notes = re.sub(r"\([^()]*\)", "", director)  # Thomas Haneke(co-director)
        lists = (_listed(text, ", ") for text in (rate, genre, without_notes, actor))
        known[whole(file, number, fields[0])] = dict(zip(IMDB, lists, strict=True))
    return known


def _listed(text: str, separator: str) -> list[str]:
    names = [name.strip() for name in text.split(separator)]
    return [UNKNOWN if name == "N/A" else name for name in names if name] or [UNKNOWN]


def _films_1m(file: Path) -> Iterator[tuple[int, Film]]:
    for number, (film, title, genres) in split_lines(file, "::", 3, "latin-1"):
        yield whole(file, number, film), Film(title, _year(title), _listed(genres, "|"))


def _films_100k(file: Path) -> Iterator[tuple[int, Film]]:
    """Read films whose genres are marked in 19 columns; the number of a column is the genre's name."""
    for number, (film, title, date, _, _, *marks) in split_lines(file, "|", 24, "latin-1"):
        genres = [str(genre) for genre, mark in enumerate(marks) if mark == "1"]
        year = int(date[-4:]) if date[-4:].isdigit() else _year(title)
        yield whole(file, number, film), Film(title, year, genres or [UNKNOWN])


def _films_25m(file: Path) -> Iterator[tuple[int, Film]]:
    with file.open(encoding="utf-8", errors="replace", newline="") as text:
        rows = csv.reader(text)
        next(rows, None)
        for row in rows:
            if len(row) != 3:
                raise bad_line(file, rows.line_num, ",".join(row), f"{len(row)} fields, not 3")
            film, title, genres = row
            yield whole(file, rows.line_num, film), Film(title, _year(title), _listed(genres, "|"))


def _year(title: str) -> int | None:
    """The year in a title such as `Toy Story (1995)`."""
    found = re.search(r"\((\d{4})\)\s*$", title)
    return int(found[1]) if found else None
