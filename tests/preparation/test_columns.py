"""Columns that a source may bring beside user, item and time: the part of a row, the space of an item, words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import describe, prepare
from recretrain.preparation.sources.base import About, Deletion
from recretrain.preparation.sources.events import EventSource, Filters
from recretrain.preparation.sources.facts import keys_of, numbered, write_facts
from recretrain.preparation.sql import Connection, Relation

KEEP_ALL = Filters(
    min_rating=None, min_user_interactions=0, min_item_interactions=0, k_core=0, repeats="keep", nulls="error"
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Toy(EventSource):
    """Rows that are written out in the test."""

    table: Mapping[str, Sequence[Any]]

    layout: ClassVar[str] = "rows"

    def files_in(self, place: Path) -> list[Path]:
        return [place] if place.is_file() else []

    def rows(self, connection: Connection, files: Sequence[Path]) -> Relation:
        return connection.from_arrow(pa.table({name: pa.array(values) for name, values in self.table.items()}))

    def place_of(self, files: Sequence[Path], row: int) -> str:
        return f"row {row}"

    def brings_periods(self, files: Sequence[Path]) -> bool:
        return "period" in self.table


def made(tmp: Path, kind: type[Toy] = Toy, filters: Filters = KEEP_ALL, **columns: Sequence[Any]) -> Path:
    """The prepared folder of these columns; in order of time, two periods of equal counts, unless they bring some."""
    (tmp / "rows").write_text("x")
    source = kind(
        name="toy",
        about=About(summary="a toy", origin="here", terms="none"),
        path="rows",
        source="raw",
        cut=ByCount(periods=2),
        generator=None,
        filters=filters,
        table=columns if "period" in columns else {"time": range(len(columns["user"])), **columns},
    )
    return prepare(source, data_root=tmp, cache=tmp / "cache")


def period(folder: Path, index: int) -> pa.Table:
    return pq.read_table(folder / f"period_{index:03d}.parquet")


def card(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "stream.json").read_text())
    return found


# parts ----------------------------------------------------------------------------------------------------------------

PARTS = {"user": [1, 1, 2, 2], "item": [5, 6, 5, 7], "part": ["context", "train", "test", "valid"]}


def test_parts_are_numbers_in_the_period_files(tmp_path: Path):
    folder = made(tmp_path, **PARTS)

    assert period(folder, 0)["part"].type == pa.int8()
    assert [period(folder, index)["part"].to_pylist() for index in (0, 1)] == [[3, 0], [2, 1]]
    assert card(folder)["columns"] == ["user", "item", "time", "part"]


def test_describe_counts_the_rows_of_every_part(tmp_path: Path):
    described = describe(made(tmp_path, **PARTS))["periods"]

    counts = [[p[part] for part in ("train", "valid", "test", "context")] for p in described]
    assert counts == [[1, 0, 0, 1], [0, 1, 1, 0]]


def test_ids_appear_first_in_the_period_of_their_first_row_whatever_its_part(tmp_path: Path):
    folder = made(tmp_path, **PARTS)

    assert pq.read_table(folder / "items.parquet").to_pydict() == {
        "id": [0, 1, 2], "key": [5, 6, 7], "first_period": [0, 0, 1]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["train", "dev", "test", "dev"], "row 1: part is 'dev'; it may be train, valid, test, context"),
        (["train", "train", None, "test"], r"row 2: part is missing or of the wrong type \(so in 1 rows\)"),
    ],
)
def test_a_part_that_is_none_is_named_by_its_row(tmp_path: Path, parts: list[str], message: str):
    with pytest.raises(DataError, match=message):
        made(tmp_path, **PARTS | {"part": parts})


def test_data_without_these_columns_have_none_of_it(tmp_path: Path):
    folder = made(tmp_path, user=[1, 2], item=[5, 5])

    assert period(folder, 0).column_names == ["user", "item", "time"]
    assert pq.read_table(folder / "items.parquet").column_names == ["id", "key", "first_period"]
    assert "spaces" not in card(folder)
    assert "space" not in card(folder)["periods"][0]
    assert list(folder.glob("tokens_*")) == []
    assert "tokens" not in card(folder)


# spaces ---------------------------------------------------------------------------------------------------------------

SPACES = {
    "user": [1, 2, 1, 2, 1],
    "item": [5, 6, 5, 5, 6],
    "space": ["videos", "videos", "news", "news", "videos"],
    "period": [0, 0, 1, 1, 1],
    "part": ["train", "test", "train", "test", "context"],
}


def test_one_raw_id_of_two_spaces_is_two_items(tmp_path: Path):
    folder = made(tmp_path, **SPACES)

    items = pq.read_table(folder / "items.parquet")
    assert items["space"].type == pa.int16()
    assert items.to_pydict() == {
        "id": [0, 1, 2], "key": [5, 6, 5], "first_period": [0, 0, 1], "space": [0, 0, 1]
    }  # fmt: skip
    assert period(folder, 0)["item"].to_pylist() == [0, 1]
    assert period(folder, 1)["item"].to_pylist() == [1, 2, 2]  # what is given comes first
    assert (card(folder)["n_items"], card(folder)["counts"][0]["items"]) == (3, 3)


def test_a_period_is_of_the_space_of_its_rows_other_than_context(tmp_path: Path):
    folder = made(tmp_path, **SPACES)

    assert card(folder)["spaces"] == ["videos", "news"]
    assert [p["space"] for p in card(folder)["periods"]] == [0, 1]
    assert [p["space"] for p in describe(folder)["periods"]] == ["videos", "news"]
    assert card(folder)["columns"] == ["user", "item", "part"]


def test_the_vocabulary_knows_the_spaces(tmp_path: Path):
    vocabulary = Vocabulary.read(made(tmp_path, **SPACES))

    assert vocabulary.spaces == ("videos", "news")
    assert vocabulary.item_space.tolist() == [0, 0, 1]


def test_a_period_of_two_spaces_is_an_error(tmp_path: Path):
    message = r"period 1 has rows of 2 spaces \(videos, news\) beside its context; .* the items of one space"

    with pytest.raises(DataError, match=message):
        made(tmp_path, **SPACES | {"part": ["train"] * 5})


def test_a_missing_item_of_a_space_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="row 2: item is missing"):
        made(tmp_path, **SPACES | {"item": [5, 6, None, 5, 6]})


def test_filters_count_an_item_in_its_space_alone(tmp_path: Path):
    """5 is rare among videos, not among news."""
    columns = {
        "user": [1, 1, 2, 1, 2],
        "item": [5, 6, 6, 5, 5],
        "space": ["videos"] * 3 + ["news"] * 2,
        "period": [0, 0, 0, 1, 1],
    }

    folder = made(tmp_path, filters=Filters(**vars(KEEP_ALL) | {"min_item_interactions": 2}), **columns)

    items = pq.read_table(folder / "items.parquet").to_pydict()
    assert list(zip(items["key"], items["space"], strict=True)) == [(6, 0), (5, 1)]


def test_a_repeated_pair_is_named_by_its_raw_id(tmp_path: Path):
    again = {"user": [1, 1, 1], "item": [5, 5, 5], "space": ["videos", "news", "news"], "period": [0, 1, 1]}

    with pytest.raises(DataError, match=r"row 2: user 1 and item 5 again, as in row 1 \(so for 1 pairs\)"):
        made(tmp_path, filters=Filters(**vars(KEEP_ALL) | {"repeats": "error"}), **again)


class Titled(Toy):
    def write_facts(self, connection: Connection, files: Sequence[Path], folder: Path) -> None:
        names = connection.sql("SELECT name FROM items JOIN spaces ON spaces.index = items.space ORDER BY id")
        kinds = numbered("kind", names.fetchall(), many=False)
        write_facts(folder, {"item": [kinds]}, [f"item {key}" for key in keys_of(connection, "items")])


def test_facts_are_written_by_raw_ids_and_spaces(tmp_path: Path):
    folder = made(tmp_path, Titled, **SPACES)

    assert pq.read_table(folder / "titles.parquet")["title"].to_pylist() == ["item 5", "item 6", "item 5"]
    assert np.load(folder / "item_kind.npy").tolist() == [[0], [0], [1]]


# words ----------------------------------------------------------------------------------------------------------------


def tokens(folder: Path, index: int) -> list[list[int]]:
    with np.load(folder / f"tokens_{index:03d}.npz") as stored:
        assert (stored["offsets"].dtype, stored["values"].dtype) == (np.int64, np.int32)
        pairs = zip(stored["offsets"], stored["offsets"][1:], strict=False)
        return [stored["values"][start:stop].tolist() for start, stop in pairs]


def test_words_stand_row_by_row_with_the_period_files(tmp_path: Path):
    folder = made(
        tmp_path,
        filters=Filters(**vars(KEEP_ALL) | {"min_user_interactions": 2}),
        user=[1, 9, 1, 1, 1],  # the second row goes
        item=[4, 4, 3, 2, 1],
        time=[4.0, 0.0, 3.0, 2.0, 1.0],  # the others are in reverse order of time
        tokens=[[40, 41], [99], [], [20], [10, 11, 12]],
    )

    assert period(folder, 0)["item"].to_pylist() == [0, 1]
    assert [tokens(folder, 0), tokens(folder, 1)] == [[[10, 11, 12], [20]], [[], [40, 41]]]
    assert card(folder)["columns"] == ["user", "item", "time"]
    assert card(folder)["tokens"] == 42  # words are numbered up to 41


class Texts(Toy):
    """Numbers words by the texts that are left, in order of the alphabet."""

    def tokens(self, connection: Connection) -> Relation:
        connection.execute(
            """CREATE TABLE words AS SELECT word, row_number() OVER (ORDER BY word) - 1 AS id
               FROM (SELECT DISTINCT unnest(string_split(text, ' ')) AS word FROM stream)"""
        )
        return connection.sql(
            """WITH split AS (SELECT position, string_split(text, ' ') AS parts FROM stream),
               placed AS (SELECT position, unnest(parts) AS word, generate_subscripts(parts, 1) AS place FROM split)
               SELECT position, list(words.id ORDER BY place) AS tokens
               FROM placed JOIN words USING (word) GROUP BY position"""
        )


def test_a_source_may_number_the_words_of_the_rows_that_are_left(tmp_path: Path):
    folder = made(
        tmp_path,
        Texts,
        filters=Filters(**vars(KEEP_ALL) | {"min_user_interactions": 2}),
        user=[1, 9, 1],
        item=[4, 4, 3],
        text=["good food", "awful", "a good place"],
    )

    assert [tokens(folder, 0), tokens(folder, 1)] == [[[2, 1]], [[0, 2, 3]]]


class Named(Toy):
    """A row's words are its ids."""

    def tokens(self, connection: Connection) -> Relation:
        return connection.sql('SELECT position, ["user", item] AS tokens FROM stream')


def test_a_source_that_makes_words_is_shown_the_raw_ids(tmp_path: Path):
    folder = made(tmp_path, Named, user=[7, 3, 7], item=[40, 50, 60])

    assert [tokens(folder, 0), tokens(folder, 1)] == [[[7, 40]], [[3, 50], [7, 60]]]


class Renaming(Toy):
    def after_filters(self, connection: Connection) -> list[Deletion]:
        columns = '* REPLACE ("user" + 1 AS "user")'
        connection.execute(f"CREATE OR REPLACE TABLE interactions AS SELECT {columns} FROM interactions")
        return []


def test_ids_that_change_after_the_filters_are_a_bug(tmp_path: Path):
    with pytest.raises(ValueError, match="after_filters left other rows or ids"):
        made(tmp_path, Renaming, user=[1, 2], item=[3, 4])


class Forgetful(Toy):
    def tokens(self, connection: Connection) -> Relation:
        return connection.sql("SELECT position, [1] AS tokens FROM stream WHERE position > 0")


def test_words_of_fewer_rows_than_there_are_are_a_bug(tmp_path: Path):
    with pytest.raises(ValueError, match="tokens lack some of the 1 rows of period 0"):
        made(tmp_path, Forgetful, user=[1, 2], item=[3, 4])
