"""Raw files of any shape, and any that are damaged: the rows that plain Python counts, or one short message."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
START = 1_700_000_000
Row = tuple[str, str, int]  # user, item, time

PLAIN = st.text(st.sampled_from("abcxyzABC0123456789_-"), min_size=1, max_size=6).filter(lambda key: key[0].isalpha())
NUMBERS = st.integers(0, 10**6).map(str)
ANY = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=8)
IDS = st.sampled_from(
    [PLAIN, NUMBERS, ANY, st.sampled_from(["007", "7", "7.0", "1e3", "null", "NA", "true", "a b", '"'])]
)
TIMES = st.integers(START, START + 10**6)


def prepared(folder: Path, file: Path, **options: Any) -> Path:
    source = load_source(CONF / "data" / "table.yaml", path=str(file), name="fuzz", **options)
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=folder, cache=folder / "cache")


def found(folder: Path) -> list[Row]:
    """The rows of a prepared folder, with raw ids as text."""
    keys = [list(map(str, pq.read_table(folder / f"{kind}.parquet")["key"].to_pylist())) for kind in ("users", "items")]
    rows = pq.read_table(folder / "period_000.parquet").to_pylist()
    return [(keys[0][row["user"]], keys[1][row["item"]], int(row["time"])) for row in rows]


def outcome(make: Callable[[], Any]) -> tuple[str | None, Any]:
    """The message of a refusal, which is short, or what was made."""
    try:
        return None, make()
    except DataError as refused:
        event("refused")
        message = str(refused)
    assert len(message.splitlines()) <= 3, message
    return message, None


def in_order(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row[2])


def as_csv(rows: Sequence[Row], draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    out = io.StringIO()
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    delimiter = draw(st.sampled_from(",;\t|"))
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=draw(st.sampled_from(["\n", "\r\n"])))
    writer.writerows([("user", "item", "timestamp"), *rows])
    text = out.getvalue()
    return (draw(st.sampled_from(["", "\ufeff"])) + text).encode()


def as_lines(rows: Sequence[Row], draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    ascii = draw(st.booleans())
    lines = [json.dumps(dict(zip(("user", "item", "timestamp"), row, strict=True)), ensure_ascii=ascii) for row in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def as_parquet(rows: Sequence[Row], draw: Callable[[st.SearchStrategy[Any]], Any]) -> bytes:
    out = io.BytesIO()
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("user", "item", "timestamp"))}
    pq.write_table(pa.table(columns), out, row_group_size=draw(st.integers(1, 20)))
    return out.getvalue()


KINDS: Mapping[str, Callable[[Sequence[Row], Any], bytes]] = {
    ".csv": as_csv,
    ".jsonl": as_lines,
    ".parquet": as_parquet,
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_rows_are_those_of_plain_python(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    user, item = data.draw(IDS), data.draw(IDS)
    rows = data.draw(st.lists(st.tuples(user, item, TIMES), min_size=1, max_size=20))
    packed = kind != ".parquet" and data.draw(st.booleans())
    file = folder / f"events{kind}{'.gz' if packed else ''}"
    written = KINDS[kind](rows, data.draw)
    file.write_bytes(gzip.compress(written) if packed else written)

    refused, read = outcome(lambda: found(prepared(folder, file)))

    if refused:
        assert user not in (PLAIN, NUMBERS) or item not in (PLAIN, NUMBERS), refused
    else:
        assert read == in_order(rows)


def damaged(content: bytes, data: st.DataObject) -> bytes:
    """Some bytes other, gone or again, only a part of it, or a line gone, again or blank."""
    at = data.draw(st.integers(0, len(content)), label="at")
    size = data.draw(st.integers(0, 40), label="size")
    how = data.draw(
        st.sampled_from(["other", "gone", "again", "cut", "head", "no line", "line again", "blank line"]), label="how"
    )
    event(how)
    lines = content.splitlines(keepends=True)
    line = data.draw(st.integers(1, len(lines) - 1), label="line")
    piece = data.draw(st.binary(min_size=1, max_size=4), label="piece")
    return {
        "other": content[:at] + piece + content[at + len(piece) :],
        "gone": content[:at] + content[at + size :],
        "again": content[:at] + content[max(0, at - size) : at] + content[at:],
        "cut": content[:at],
        "head": content[at:],
        "no line": b"".join([*lines[:line], *lines[line + 1 :]]),
        "line again": b"".join([*lines[:line], lines[line], *lines[line:]]),
        "blank line": b"".join([*lines[:line], b"\n", *lines[line:]]),
    }[how]


def lines_of(content: bytes) -> int:
    return sum(bool(line.strip()) for line in content.split(b"\n"))


def records_of(content: bytes) -> int:
    """Records of a CSV file with a header."""
    return sum(bool(record) for record in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))) - 1


def csv_of(rows: int) -> bytes:
    return "".join(["user,item,timestamp\n", *(f"u{n % 7},i{n % 11},{START + n}\n" for n in range(rows))]).encode()


def yelp_of(rows: int) -> bytes:
    records = [
        {"user_id": f"u{n % 7}", "business_id": f"i{n % 11}", "stars": 1 + n % 5, "date": f"2018-01-{1 + n % 28:02d}"}
        for n in range(rows)
    ]
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


def movielens_of(rows: int) -> bytes:
    return "".join(f"{1 + n % 7}::{1 + n % 11}::{1 + n % 5}::{START + n}\n" for n in range(rows)).encode()


def ml25m_of(rows: int) -> bytes:
    lines = (f"{1 + n % 7},{1 + n % 11},{1 + n % 5}.0,{START + n}\n" for n in range(rows))
    return "".join(["userId,movieId,rating,timestamp\n", *lines]).encode()


def yoochoose_of(rows: int) -> bytes:
    return "".join(f"{n // 3},2014-04-07T10:{n // 60:02d}:{n % 60:02d}.000Z,{n % 11},0\n" for n in range(rows)).encode()


READERS: Mapping[str, tuple[str, Callable[[int], bytes], Callable[[bytes], int]]] = {
    "table": ("events.csv", csv_of, records_of),
    "yelp": ("review.json", yelp_of, lines_of),
    "ml1m": ("ratings.dat", movielens_of, lines_of),
    "ml25m": ("ratings.csv", ml25m_of, records_of),
    "yoochoose": ("yoochoose-clicks.dat", yoochoose_of, lines_of),
}
LOOSE = {"k_core": 0, "min_session_clicks": 0, "min_item_clicks": 0, "min_rating": None}


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_a_damaged_file_gives_the_rows_that_it_has_or_one_message(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    file_name, make, count = READERS[name]
    content = make(60) if data.draw(st.integers(0, 9)) == 0 else damaged(make(60), data)
    (folder / file_name).write_bytes(content)
    source = load_source(CONF / "data" / f"{name}.yaml", path=str(folder / file_name), source="raw", name="fuzz")
    filters = replace(source.filters, **{key: value for key, value in LOOSE.items() if hasattr(source.filters, key)})

    loose = replace(source, filters=filters, cut=ByCount(periods=1))
    refused, made = outcome(lambda: prepare(loose, data_root=folder, cache=folder / "cache"))

    assert refused or json.loads((made / "stream.json").read_text())["counts"][0]["rows"] == count(content)


@pytest.mark.parametrize("name", READERS)
def test_a_line_too_long_is_named_by_every_reader(name: str, tmp_path: Path) -> None:
    """DuckDB alone may leave it out without a word."""
    file_name, make, _ = READERS[name]
    head, _, tail = make(60).rpartition(b"\n")[0].rpartition(b"\n")
    (tmp_path / file_name).write_bytes(b"\n".join([head, b"z" * 40_000_000, tail, b""]))
    source = load_source(CONF / "data" / f"{name}.yaml", path=str(tmp_path / file_name), source="raw", name="long")

    with pytest.raises(DataError, match=r"line \d+: the line is longer than 16 MB"):
        prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp_path, cache=tmp_path / "cache")
