"""Yelp's reviews and Adressa's events, a JSON object a line."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"


def review(user: str, item: str, date: str, stars: Any = 5.0) -> str:
    return json.dumps(
        {"review_id": "r", "user_id": user, "business_id": item, "stars": stars, "text": "a\nb", "date": date}
    )


REVIEWS = [review("a", "x", "2018-01-02 00:00:00"), review("b", "x", "2018-01-01 00:00:01", 2.0)]


def event(user: str, item: str | None, time: Any) -> str:
    return json.dumps({"eventId": 1, "userId": user, "time": time} | ({"id": item} if item else {}))


def write(file: Path, lines: list[str]) -> Path:
    text = "".join(line + "\n" for line in lines).encode()
    file.write_bytes(gzip.compress(text) if file.suffix == ".gz" else text)
    return file


def prepared(tmp: Path, name: str, path: Path, **options: Any) -> Path:
    source = load_source(CONF / f"data/{name}.yaml", path=str(path), **{"filters": {"k_core": 0}} | options)
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp, cache=tmp / "cache")


def rows(folder: Path) -> dict[str, list[Any]]:
    return pq.read_table(folder / "period_000.parquet").to_pydict()


def steps(folder: Path) -> list[tuple[str, int]]:
    return [(c["step"], c["rows"]) for c in json.loads((folder / "stream.json").read_text())["counts"]]


@pytest.mark.parametrize("name", ["review.json", "yelp_academic_dataset_review.json", "review.json.gz"])
def test_reviews_are_found_by_their_file_names_plain_or_gz(tmp_path: Path, name: str):
    write(tmp_path / name, REVIEWS)

    found = rows(prepared(tmp_path, "yelp", tmp_path))

    assert found == {"user": [0, 1], "item": [0, 0], "time": [1514764801.0, 1514851200.0], "rating": [2.0, 5.0]}


def test_the_core_of_yelp_is_asked_for_by_default(tmp_path: Path):
    file = write(tmp_path / "review.json", REVIEWS)

    with pytest.raises(DataError, match="k_core=10 left 0"):
        prepared(tmp_path, "yelp", file, filters={})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"user_id": "a", ', r"review\.json, line 3: not JSON, .* at character 18 .*mend or remove the line"),
        ("[1]", r"review\.json, line 3: not a JSON object"),
        (
            '{"business_id": "x", "stars": 5.0, "date": "2018-01-01"}',
            r"line 3 \(\{.*\): user is missing or of the wrong",
        ),
        (review("a", "x", "yesterday"), r"review\.json, line 3 .*: time is missing or of the wrong type"),
        (
            review("a", "x", "2018-01-01", stars="five"),
            r"review\.json, line 3 .*: rating is missing or of the wrong type",
        ),
    ],
)
def test_a_faulty_review_is_named_by_its_line(tmp_path: Path, line: str, message: str):
    file = write(tmp_path / "review.json", [*REVIEWS, line, *REVIEWS])

    with pytest.raises(DataError, match=message):
        prepared(tmp_path, "yelp", file)


def test_blank_lines_count_in_the_line_that_is_named(tmp_path: Path):
    file = write(tmp_path / "review.json", [REVIEWS[0], "", "", review("a", "x", "never")])

    with pytest.raises(DataError, match=r"review\.json, line 4 "):
        prepared(tmp_path, "yelp", file)


def test_a_review_file_that_is_cut_short_is_named(tmp_path: Path):
    file = write(tmp_path / "review.json.gz", [review(f"u{n * n}", "x", "2018-01-01") for n in range(2000)])
    file.write_bytes(file.read_bytes()[:-2000])

    with pytest.raises(DataError, match=r"review\.json\.gz: the gzip is cut short or damaged after line \d+ .*again"):
        prepared(tmp_path, "yelp", file)


def test_an_empty_review_file_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"review\.json: there are no rows in it; get the data again"):
        prepared(tmp_path, "yelp", write(tmp_path / "review.json", []))


def test_days_are_read_in_order_and_front_page_events_dropped_and_counted(tmp_path: Path):
    write(tmp_path / "20170102.gz", [event("a", "n2", 1483311600)])
    write(tmp_path / "20170101", [event("a", "n1", 1483225200), event("b", None, 1483225201)])
    write(tmp_path / "README", ["not an event"])

    folder = prepared(tmp_path, "adressa", tmp_path, days=None)

    assert rows(folder) == {"user": [0, 0], "item": [0, 1], "time": [1483225200.0, 1483311600.0]}
    assert steps(folder) == [("read", 3), ("front_page=drop", 2), ("repeats=first", 2)]


def test_a_front_page_event_is_an_error_unless_its_drop_was_asked_for(tmp_path: Path):
    write(tmp_path / "20170101", [event("a", "n1", 1), event("b", None, 2)])

    with pytest.raises(DataError, match=r"20170101, line 2 .*: item is missing .*data\.filters\.front_page=drop"):
        prepared(tmp_path, "adressa", tmp_path, days=None, filters={"front_page": "error"})


def test_only_the_first_days_are_read(tmp_path: Path):
    for day in (1, 2, 3):
        write(tmp_path / f"2017010{day}", [event("a", f"n{day}", day)])

    assert rows(prepared(tmp_path, "adressa", tmp_path, days=2))["time"] == [1.0, 2.0]


def test_fewer_days_than_asked_for_is_an_error_with_the_cure(tmp_path: Path):
    write(tmp_path / "20170101", [event("a", "n1", 1)])

    with pytest.raises(DataError, match=r"holds 1 day files, data\.days asks for 21; .* data\.days=1"):
        prepared(tmp_path, "adressa", tmp_path)


def test_a_fault_in_a_later_day_is_named_by_that_day(tmp_path: Path):
    write(tmp_path / "20170101", [event("a", "n1", 1), event("a", "n2", 2)])
    write(tmp_path / "20170102.gz", [event("a", "n3", 3), event("a", "n4", "noon")])

    with pytest.raises(DataError, match=r"20170102\.gz, line 2 .*: time is missing or of the wrong type"):
        prepared(tmp_path, "adressa", tmp_path, days=None)
