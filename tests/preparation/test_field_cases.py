"""Files as people have them (tests/field): each is read right, or refused in one sentence that names place and cure."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import recretrain
from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

ROOT = Path(__file__).parents[2]
FIELD = ROOT / "tests" / "field"
WHOLE = (240, 12, 28)  # rows, users and items of the file that most cases were made from
NO_FILTER = {"filters": {"k_core": 0, "repeats": "keep"}}


def made(tmp: Path, case: str, data: str = "table", **changes: Any) -> Path:
    """The prepared folder of a case, in six periods of equal counts where the data bring none."""
    source = load_source(ROOT / "conf" / "data" / f"{data}.yaml", path=str(FIELD / case), source="raw", **changes)
    source = source if source.cut is None else replace(source, cut=ByCount(periods=6))
    return prepare(source, data_root=tmp, cache=tmp / "cache")


def size(folder: Path) -> tuple[int, int, int]:
    card = json.loads((folder / "stream.json").read_text())
    return sum(period["rows"] for period in card["periods"]), card["n_users"], card["n_items"]


READ: dict[str, tuple[str, dict[str, Any], tuple[int, int, int]]] = {
    "01-unnamed-index-column/index_col.csv": ("table", {}, WHOLE),
    "02-milliseconds-as-seconds/ms.csv": ("table", {"columns": {"time_unit": "ms"}}, WHOLE),
    "02-milliseconds-as-seconds": ("table", {"columns": {"time_unit": "auto"}}, WHOLE),
    "11-whitespace-last-line/blank_tail.csv": ("table", {}, WHOLE),
    "11-whitespace-last-line/space_tail.csv": ("table", {}, WHOLE),
    "11-whitespace-last-line/crlf_bom_blank.csv": ("table", {}, WHOLE),
    "13-unquoted-bookcrossing/BX": ("bookcrossing", {}, (30, 6, 12)),
    "17-repeats/dups.csv": ("table", {"filters": {"repeats": "keep"}}, (248, 10, 20)),
    "22-special-characters/newline_in_field.csv": ("table", {}, WHOLE),
    "22-special-characters/quotes.csv": ("table", {}, WHOLE),
    "22-special-characters/special.csv": ("table", {}, WHOLE),
    "23-crlf-and-bom/crlf_bom.csv": ("table", {}, WHOLE),
    "23-crlf-and-bom/plain.csv": ("table", {}, WHOLE),
    "34-json-with-bom/review.json": ("yelp", NO_FILTER, (200, 30, 25)),
    "35-nanoseconds/ns.csv": ("table", {"columns": {"time_unit": "ns"}}, WHOLE),
}


@pytest.mark.parametrize("case", READ)
def test_a_file_is_read_whole(tmp_path: Path, case: str) -> None:
    data, changes, expected = READ[case]

    assert size(made(tmp_path, case, data, **changes)) == expected


REFUSED = {
    "02-milliseconds-as-seconds/ms.csv": (
        "table",
        r"ms\.csv, line 2: time 1700002093000 is of the year 55840 when it is read in s, in ms it is 2023-11-14; "
        r"set data\.columns\.time_unit=ms",
    ),
    "05-headerless-ratings-csv/ratings.csv": (
        "ml25m",
        r"ratings\.csv: its first line is '1,1,4\.5,1500000101' and not 'userId,movieId,rating,timestamp'; put this",
    ),
    "08-nan-id-in-parquet/float_nan.parquet": ("table", r"float_nan\.parquet, row 51: user is missing"),
    "10-latin-1-csv/latin1.csv": ("table", r"latin1\.csv, line 2 \(.*\): not UTF-8 text; convert .*`iconv -f latin1 "),
    "25-yoochoose-with-a-header/yoochoose-clicks.dat": (
        "yoochoose",
        r"clicks\.dat, line 1 \(session,timestamp,item,category\): it looks like the names of columns.*; remove the li",
    ),
    "31-repeated-unused-header/dup_header.csv": (
        "table",
        r"dup_header\.csv, line 1: 2 columns are called 'item' \(data\.columns\.item\)",
    ),
    "35-nanoseconds/ns.csv": ("table", r"ns\.csv, line 2: time \d{19} is .* set data\.columns\.time_unit=ns"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_is_refused_in_one_sentence(tmp_path: Path, case: str) -> None:
    data, message = REFUSED[case]

    with pytest.raises(DataError, match=message) as error:
        made(tmp_path, case, data)

    assert "\n" not in str(error.value)


def test_no_file_of_tests_field_is_forgotten() -> None:
    files = {file.relative_to(FIELD).as_posix() for file in FIELD.rglob("*") if file.is_file() and file.parent != FIELD}
    known = {*READ, *REFUSED, *SPELLINGS, "14-one-user/one_user.csv"}

    assert {file for file in files if not any(file.startswith(case) for case in known)} == set()


def test_repeats_are_kept_once_or_named(tmp_path: Path) -> None:
    """By hand: 118 pairs, the first of each in time, then in the file."""
    case = "17-repeats/dups.csv"

    assert size(made(tmp_path, case, filters={"repeats": "first"}))[0] == 118
    with pytest.raises(DataError, match=r"line 15: user .* again, as in .*line 9 \(so for 73 pairs\)"):
        made(tmp_path, case, filters={"repeats": "error"})


def test_a_byte_order_mark_and_windows_line_ends_change_no_id(tmp_path: Path) -> None:
    plain, marked = (made(tmp_path, f"23-crlf-and-bom/{name}.csv") for name in ("plain", "crlf_bom"))

    for kind in ("users", "items"):
        assert pq.read_table(plain / f"{kind}.parquet") == pq.read_table(marked / f"{kind}.parquet")


def test_an_odd_path_is_a_path(tmp_path: Path) -> None:
    odd = tmp_path / "odd dir, a=1" / "cl=icks, v2 (1).csv"
    odd.parent.mkdir()
    odd.write_bytes((FIELD / "23-crlf-and-bom" / "plain.csv").read_bytes())

    assert size(made(tmp_path, str(odd))) == WHOLE
    assert size(made(tmp_path, str(odd.parent))) == WHOLE


SPELLINGS = {
    "32-mixed-id-spellings/mixed_float_ids.csv": "12 user ids are written in several ways, such as '0' and '0.0'",
    "32-mixed-id-spellings/padded.csv": "12 user ids are written in several ways, such as ' u00' and 'u00'",
}


@pytest.mark.parametrize("case", SPELLINGS)
def test_ids_in_two_spellings_are_counted_in_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    with caplog.at_level(logging.WARNING):
        made(tmp_path, case)

    assert [message for message in caplog.messages if SPELLINGS[case] in message]


def test_ids_in_one_spelling_are_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made(tmp_path, "23-crlf-and-bom/plain.csv")

    assert caplog.messages == []


def test_a_user_with_all_items_is_named_as_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^user 'solo' has had 39 of the 39 items seen so far") as error:
        recretrain.run(
            "data=table",
            "data.name=one",
            f"data.path='{FIELD}/14-one-user/one_user.csv'",
            "data.cut.periods=6",
            "schedule.start=2",
            "schedule.first_test=4",
            "schedule.choosing=1",
            "eval.questions.candidates=10",
            "eval.ks=[1,5,10]",
            "method=fine_tune",
            "trainer.threads=1",
            "trainer.progress=false",
            f"paths.cache='{tmp_path}/cache'",
            f"paths.outputs='{tmp_path}/outputs'",
        )

    assert not re.search(r"user \d", str(error.value))
