"""Book-Crossing: ratings of books by readers of whom an age is known, in MeLU's four states."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Deletion, Source
from recretrain.preparation.sources.facts import UNKNOWN, bad_line, keys_of, numbered, whole, write_facts
from recretrain.preparation.sources.states import STATES, FourStates, drawn, with_states
from recretrain.preparation.sql import Connection, Relation, quoted

RATINGS, BOOKS, USERS = "BX-Book-Ratings.csv", "BX-Books.csv", "BX-Users.csv"
LINE = r'^"?([^";]+)"?;"?(.*?)"?;"?(-?\d+)"?\s*$'  # user, ISBN, rating, in quotes or without
HEADERS = {
    RATINGS: ("User-ID", "ISBN", "Book-Rating"),
    BOOKS: ("ISBN", "Book-Title", "Book-Author", "Year-Of-Publication", "Publisher"),  # the first of them
    USERS: ("User-ID", "Location", "Age"),
}


@dataclass(frozen=True)
class Book:
    title: str
    author: str
    year: str
    publisher: str


@dataclass(frozen=True, kw_only=True)
class BookStates(FourStates):
    """Which ratings are taken, and which users and which books are new."""

    implicit: Literal["drop", "keep"]  # a rating of 0, which says "read" and no more
    missing_year: Literal["existing", "drop"]  # a book of the year 0


@dataclass(frozen=True, kw_only=True)
class BookCrossing(Source):
    """Ratings of books, with facts, in the four states."""

    states: BookStates
    age: Literal["year", "decade"]  # whose ages have a value of their own

    layout: ClassVar[str] = f"{RATINGS}, {BOOKS} and {USERS}"

    def files_in(self, place: Path) -> list[Path]:
        files = [place / name for name in (RATINGS, BOOKS, USERS)]
        if not files[0].is_file():
            return []
        for file in files:
            if not file.is_file():
                raise DataError(f"{file} is missing; get all three files from the same place")
        return files

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        """Read each line as a whole, since an ISBN may hold separators and quotes."""
        for file in files:
            lines.check_header(file, HEADERS[file.name], ";")
        text = connection.sql(
            f"""SELECT line FROM read_csv({quoted(files[0])}, delim = '\x01', quote = '', escape = '', header = false,
                skip = 1, auto_detect = false, encoding = 'latin-1', columns = {{'line': 'VARCHAR'}})
                WHERE trim(line) <> ''"""
        )
        part = f"nullif(regexp_extract(line, {quoted(LINE)}, {{}}), '')"
        ratings = text.project(
            f"""TRY_CAST({part.format(1)} AS BIGINT) AS "user", {part.format(2)} AS item,
            TRY_CAST({part.format(3)} AS FLOAT) AS rating"""
        )
        return with_states(connection, ratings, drawn(ratings, self.states), self._new(files))

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        """Delete books without a state; a line that could not be read stays, for the check to find."""
        step = "unlisted books" if self.states.missing_year == "existing" else "unlisted and undated books"
        unlisted = Deletion(step, 'period IS NULL AND "user" IS NOT NULL AND item IS NOT NULL')
        return [Deletion("implicit=drop", "rating = 0"), unlisted] if self.states.implicit == "drop" else [unlisted]

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return True

    def period_name(self, files: Sequence[Path], period: int) -> str:
        return STATES[period]

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files[:1], row, header=1).replace("\r", "")

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        isbns = keys_of(connection, "items")
        wanted = set(isbns)
        books = {isbn: book for isbn, book in _books(files[1]) if isbn in wanted}
        ages = dict(_ages(files[2]))
        of_books = [
            numbered(name, [[getattr(books[isbn], name) or UNKNOWN] for isbn in isbns], many=False)
            for name in ("year", "author", "publisher")
        ]
        of_readers = [[self._age(ages.get(user, UNKNOWN))] for user in keys_of(connection, "users")]
        facts = {"user": [numbered("age", of_readers, many=False)], "item": of_books}
        write_facts(folder, facts, [books[isbn].title for isbn in isbns])

    def _age(self, years: str) -> str:
        return str(int(years) // 10 * 10) if self.age == "decade" and years.isdigit() else years

    def _new(self, files: Sequence[Path]) -> dict[str, bool]:
        """Whether a book is new; those that are to be dropped are left out."""
        years = {isbn: int(book.year) if book.year.isdigit() else 0 for isbn, book in _books(files[1])}
        dated = {isbn: year for isbn, year in years.items() if year or self.states.missing_year == "existing"}
        return {isbn: year >= self.states.new_items_from for isbn, year in dated.items()}


def _books(file: Path) -> Iterator[tuple[str, Book]]:
    for number, row in _records(file):
        if len(row) == 7 and '";' in row[1]:  # a title that took the author in, as in three lines of the published file
            row[1:2] = row[1].split('";', 1)
        if len(row) != 8:
            raise bad_line(file, number, ";".join(row), f"{len(row)} fields separated by ';', not 8")
        isbn, title, author, year, publisher, *_ = row
        yield isbn, Book(title, author.strip('"'), year, publisher)


def _ages(file: Path) -> Iterator[tuple[int, str]]:
    for number, row in _records(file):
        if len(row) != 3:
            raise bad_line(file, number, ";".join(row), f"{len(row)} fields separated by ';', not 3")
        yield whole(file, number, row[0]), UNKNOWN if row[2] == "NULL" else row[2]


def _records(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Number of the last line and fields of every record but the first; a place may hold a line break."""
    with file.open(encoding="latin-1", newline="") as text:
        rows = csv.reader(lines.bounded(text, file), delimiter=";", quotechar='"', escapechar="\\", doublequote=False)
        try:
            next(rows, None)
            for row in rows:
                if row:
                    yield rows.line_num, row
        except csv.Error as error:
            raise DataError(f"{file}, line {rows.line_num}: {error}; mend the line, or get the file again") from error
