"""Book-Crossing's three files by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recretrain.data.fields import read_fields
from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
PICTURES = ';"http://s";"http://m";"http://l"'
FILES = {
    "BX-Book-Ratings.csv": '"User-ID";"ISBN";"Book-Rating"\r\n'
    '"1";"0A";"5"\r\n"1";"0B";"10"\r\n"2";"0A";"7"\r\n"2";"0B";"1"\r\n"1";"0C";"0"\r\n"2";"0";Z";"8"\r\n',
    "BX-Books.csv": '"ISBN";"Book-Title";"Book-Author";"Year-Of-Publication";"Publisher";"S";"M";"L"\r\n'
    rf'"0A";"The \"Best\"; a novel";"Döblin";"1997";"Simon &amp; Co"{PICTURES}' + "\r\n"
    rf'"0B";"X-Men \"";James Buckley";"1998";"Simon &amp; Co"{PICTURES}' + "\r\n"
    rf'"0C";"Undated";"Döblin";"0";"House"{PICTURES}' + "\r\n",
    "BX-Users.csv": '"User-ID";"Location";"Age"\r\n"1";"cernusco s\r\n, milan, italy";NULL\r\n"2";"x";"34"\r\n',
}  # 0B: the published file has a few such lines; the last rating's book is not in the list


def prepared(tmp: Path, files: dict[str, str] = FILES, **changes: Any) -> Path:
    for file, text in files.items():
        (tmp / file).write_bytes(text.encode("latin-1"))
    source = load_source(CONF / "data/bookcrossing.yaml", path=str(tmp), **changes)
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp, cache=tmp / "cache")


def rows(folder: Path) -> set[tuple[str, int, str, float]]:
    """State, and user, item and rating in raw ids."""
    users, items = (pq.read_table(folder / f"{kind}.parquet")["key"].to_pylist() for kind in ("users", "items"))
    found = set()
    for index, period in enumerate(json.loads((folder / "stream.json").read_text())["periods"]):
        table = pq.read_table(folder / f"period_{index:03d}.parquet").to_pydict()
        columns = zip(table["user"], table["item"], table["rating"], strict=True)
        found |= {(period["name"], users[user], items[item], rating) for user, item, rating in columns}
    return found


def fields(folder: Path, kind: str) -> dict[str, dict[Any, int]]:
    """Of every raw id the number of its value."""
    keys = pq.read_table(folder / f"{kind}s.parquet")["key"].to_pylist()
    found = getattr(read_fields(folder), kind)
    return {f.name: dict(zip(keys, f.values[:, 0].tolist(), strict=True)) for f in found}


def test_half_of_the_users_and_the_books_from_1998_on_are_new(tmp_path: Path):
    folder = prepared(tmp_path)

    (new,) = {user for state, user, *_ in rows(folder) if state == "user_cold"}
    old = 3 - new
    ratings = {(1, "0A"): 5.0, (1, "0B"): 10.0, (2, "0A"): 7.0, (2, "0B"): 1.0}
    assert rows(folder) == {
        ("warm", old, "0A", ratings[old, "0A"]),
        ("user_cold", new, "0A", ratings[new, "0A"]),
        ("item_cold", old, "0B", ratings[old, "0B"]),
        ("user_and_item_cold", new, "0B", ratings[new, "0B"]),
    }


def test_what_is_dropped_is_counted(tmp_path: Path):
    counts = json.loads((prepared(tmp_path) / "stream.json").read_text())["counts"]

    assert [(c["step"], c["rows"]) for c in counts] == [("read", 6), ("implicit=drop", 5), ("unlisted books", 4)]


def test_implicit_ratings_may_be_kept_and_undated_books_dropped(tmp_path: Path):
    kept = rows(prepared(tmp_path, states={"implicit": "keep"}))
    dated = rows(prepared(tmp_path, states={"implicit": "keep", "missing_year": "drop"}))

    assert {(item, rating) for _, _, item, rating in kept - dated} == {("0C", 0.0)}
    assert {state for state, *_ in kept - dated} <= {"warm", "user_cold"}  # the year 0 is before 1998


def test_facts_of_books_and_readers(tmp_path: Path):
    folder = prepared(tmp_path)

    assert fields(folder, "item") == {
        "year": {"0A": 0, "0B": 1},
        "author": {"0A": 0, "0B": 1},
        "publisher": {"0A": 0, "0B": 0},
    }
    assert sorted(fields(folder, "user")["age"].values()) == [0, 1]
    assert pq.read_table(folder / "titles.parquet")["title"].to_pylist() == ['The "Best"; a novel', 'X-Men "']


def test_a_title_that_took_in_the_author_is_parted(tmp_path: Path):
    line = rf'"0B";"X-Men \";James Buckley";"1998";"House"{PICTURES}' + "\r\n"
    books = FILES["BX-Books.csv"].split('"0B"')[0] + line

    folder = prepared(tmp_path, FILES | {"BX-Books.csv": books})

    assert fields(folder, "item")["year"] == {"0A": 0, "0B": 1}
    assert pq.read_table(folder / "titles.parquet")["title"].to_pylist()[1] == "X-Men "


def test_ages_may_be_told_by_the_decade(tmp_path: Path):
    users = '"User-ID";"Location";"Age"\n"1";"x";"31"\n"2";"x";"34"\n'

    by_year = prepared(tmp_path, FILES | {"BX-Users.csv": users})
    by_decade = prepared(tmp_path, FILES | {"BX-Users.csv": users}, age="decade")

    assert len(set(fields(by_year, "user")["age"].values())) == 2
    assert len(set(fields(by_decade, "user")["age"].values())) == 1


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("BX-Book-Ratings.csv", '"3";"0A"', r'Ratings\.csv, line 8 \("3";"0A"\): user is missing'),
        ("BX-Book-Ratings.csv", '"x";"0A";"3"', r'Ratings\.csv, line 8 \("x";"0A";"3"\): user is missing'),
        ("BX-Book-Ratings.csv", '"1";"";"3"', r'Ratings\.csv, line 8 .*: item is missing'),
        ("BX-Books.csv", '"0D";"Title";"1999"', r"BX-Books\.csv, line 5 .*: 3 fields separated by ';', not 8"),
        ("BX-Users.csv", '"3";"x"', r"BX-Users\.csv, line 5 .*: 2 fields separated by ';', not 3"),
        ("BX-Users.csv", '"z";"x";NULL', r"BX-Users\.csv, line 5 \(z\): the id is not a whole number"),
    ],
)  # fmt: skip
def test_faults_are_named_by_their_line(tmp_path: Path, name: str, line: str, message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, FILES | {name: f"{FILES[name]}{line}\r\n"})


def test_a_file_that_is_missing_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"BX-Users\.csv is missing; get all three files"):
        prepared(tmp_path, {name: text for name, text in FILES.items() if name != "BX-Users.csv"})
