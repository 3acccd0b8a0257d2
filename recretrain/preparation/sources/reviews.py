"""Amazon's reviews of 2014 or 2018: a JSON object a line, with a text, a rating and a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb

from recretrain.errors import DataError
from recretrain.preparation.sources import lines
from recretrain.preparation.sources.base import Deletion
from recretrain.preparation.sources.domains import Domains, TwoDomains, both_files
from recretrain.preparation.sources.json_events import read_json
from recretrain.preparation.sql import Connection, Relation, quoted
from recretrain.preparation.synthetic.reviews import FILES
from recretrain.preparation.texts import Texts

FIELDS = ("reviewerID", "asin", "overall", "unixReviewTime", "reviewText")


@dataclass(frozen=True, kw_only=True)
class ReviewedDomains(Domains):
    """Domains whose rows have texts; a row without one is left out."""

    texts: Texts | None  # null: they are not read


@dataclass(frozen=True, kw_only=True)
class TwoReviewedDomains(TwoDomains):
    """Rows with texts in the two domains."""

    domains: ReviewedDomains

    @abstractmethod
    def reviews(self, connection: Connection, files: Sequence[Path]) -> None:
        """Make the table `reviews`: the columns of `rows` in file order, and text, where texts are read."""

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        self.reviews(connection, files)
        if self.domains.texts:
            connection.execute("CREATE VIEW texts AS SELECT rowid AS row, text FROM reviews")
        columns = [f'"{column}"' for column in connection.table("reviews").columns if column != "text"]
        return connection.sql(f"SELECT {', '.join(columns)} FROM reviews")

    def before_check(self, files: Sequence[Path]) -> list[Deletion]:
        silent = Deletion("no text", "row IN (SELECT row FROM texts WHERE coalesce(text, '') = '')")
        return [silent] if self.domains.texts else []

    def tokens(self, connection: Connection) -> Relation | None:
        return self.domains.texts.number(connection) if self.domains.texts else None

    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        if self.domains.texts:
            self.domains.texts.write_vectors(connection, files[0].parent, folder)

    def options(self, files: Sequence[Path]) -> dict[str, Any]:
        place = files[0].parent if files else None
        return super().options(files) | (self.domains.texts.identity(place) if self.domains.texts else {})


@dataclass(frozen=True, kw_only=True)
class TwoFiles(ReviewedDomains):
    """A file for each domain."""

    source_file: str
    target_file: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.source_file == self.target_file:
            raise DataError(
                f"data.domains.source_file and target_file are both {self.source_file}; one file is cut in two domains "
                "by data=amazon_clustered"
            )


@dataclass(frozen=True, kw_only=True)
class AmazonPair(TwoReviewedDomains):
    """Two files of reviews."""

    domains: TwoFiles

    layout: ClassVar[str] = "two files of reviews, .json or .json.gz,"

    def files_in(self, place: Path) -> list[Path]:
        """Those that are named, or source.json.gz and target.json.gz."""
        generated = [place / name for name in FILES]
        if all(file.is_file() for file in generated):
            return generated
        return both_files(place, self.domains.source_file, self.domains.target_file)

    def reviews(self, connection: Connection, files: Sequence[Path]) -> None:
        read_reviews(connection, dict(zip(self.domains.names, files, strict=True)))

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return lines.place_of(files, row)

    def explain(self, files: Sequence[Path], error: duckdb.Error) -> str:
        lines.check_json(files)
        return super().explain(files, error)


def read_reviews(connection: Connection, files: Mapping[str, Path]) -> None:
    """Make the table `reviews` of files, each of the space that is its key."""
    for index, (space, file) in enumerate(files.items()):
        read = read_json(connection, [file], FIELDS).project(
            f"""reviewerID AS "user", asin AS item, TRY_CAST(overall AS FLOAT) AS rating,
                TRY_CAST(unixReviewTime AS DOUBLE) AS time, {quoted(space)} AS space, reviewText AS text"""
        )
        if index:
            read.insert_into("reviews")
        else:
            read.create("reviews")
