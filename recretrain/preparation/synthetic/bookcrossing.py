"""Ratings, books and readers in the layout of Book-Crossing, generated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recretrain.preparation.synthetic.opinions import OpinionPoll, stars
from recretrain.preparation.synthetic.tastes import Floats, Ints
from recretrain.values import NotNegative

GENRES = 10  # of authors, who stay with theirs
FIRST_NEW = 1998


@dataclass(frozen=True)
class Shelf:
    """Facts about readers and books, as numbers."""

    author: Ints  # [books]
    publisher: Ints  # [books]
    genre: Ints  # [books]
    age: Ints  # [readers]

    def liking(self, rng: np.random.Generator) -> Floats:
        """Liking by facts: ages agree on genres, all readers on authors and publishers.  # [readers, books]"""
        by_age = rng.normal(size=(10, GENRES))[self.age // 10]
        everybody = rng.normal(size=self.author.max() + 1)[self.author]
        everybody += 0.5 * rng.normal(size=self.publisher.max() + 1)[self.publisher]
        liking: Floats = by_age[:, self.genre] + everybody
        return liking


@dataclass(frozen=True, kw_only=True)
class BookCrossingBooks(OpinionPoll):
    """Ratings of books by readers of whom an age is known, or not."""

    implicit: NotNegative  # ratings of 0 for one of 1 to 10

    def write(self, folder: Path) -> list[Path]:
        rng = np.random.default_rng(self.seed)
        shelf = self.shelf(rng)
        readers, books = self.pairs(rng)
        genres = np.eye(GENRES)[shelf.genre]
        rating = stars(self.opinions(shelf.liking(rng), genres, readers, books, rng), 7.6, 1.8, 10)
        rating = np.where(rng.random(self.ratings) < self.implicit / (1 + self.implicit), 0, rating)
        ratings = zip(readers, books, rating, strict=True)
        texts = {
            "BX-Book-Ratings.csv": (f'"{r + 1}";"{isbn(b)}";"{stars}"' for r, b, stars in ratings),
            "BX-Books.csv": self._books(shelf, rng),
            "BX-Users.csv": self._readers(shelf, rng),
        }
        return [_write(folder / name, HEADS[name], text) for name, text in texts.items()]

    def shelf(self, rng: np.random.Generator) -> Shelf:
        authors = max(self.items // 5, 1)
        author = rng.integers(authors, size=self.items)
        return Shelf(
            author=author,
            publisher=rng.integers(max(self.items // 15, 1), size=self.items),
            genre=rng.integers(GENRES, size=authors)[author],
            age=rng.integers(12, 80, size=self.users),
        )

    def _books(self, shelf: Shelf, rng: np.random.Generator) -> Iterable[str]:
        rows = zip(self.years(FIRST_NEW, rng), shelf.author, shelf.publisher, strict=True)
        for book, (year, author, publisher) in enumerate(rows):
            title = rf"Book {book} \"A Novel\"" if book % 20 == 0 else f"Book {book}"
            known = f'"{isbn(book)}";"{title}";"Author {author}";"{year}";"House {publisher} &amp; Sons"'
            yield known + "".join(f';"http://images.invalid/{isbn(book)}.{size}.jpg"' for size in "SML")

    def _readers(self, shelf: Shelf, rng: np.random.Generator) -> Iterable[str]:
        known = rng.random(self.users) < 0.7  # roughly as in the published file
        for reader, age in enumerate(shelf.age):
            yield f'"{reader + 1}";"town, region, country";' + (f'"{age}"' if known[reader] else "NULL")


HEADS = {
    "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"',
    "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";'
    '"Image-URL-S";"Image-URL-M";"Image-URL-L"',
    "BX-Users.csv": '"User-ID";"Location";"Age"',
}


def isbn(book: int) -> str:
    return f"X{book:09d}"


def _write(file: Path, head: str, text: Iterable[str]) -> Path:
    with file.open("w", encoding="latin-1") as out:
        out.write(f"{head}\n")
        out.writelines(f"{line}\n" for line in text)
    return file
