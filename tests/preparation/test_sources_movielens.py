"""The three layouts of MovieLens."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"


def prepared(tmp: Path, name: str, text: str, file: str, periods: int = 1, **options: Any) -> Path:
    (tmp / file).write_text(text)
    source = load_source(CONF / f"data/{name}.yaml", path=str(tmp), **options)
    return prepare(replace(source, cut=ByCount(periods=periods)), data_root=tmp, cache=tmp / "cache")


@pytest.mark.parametrize(
    ("name", "file", "text"),
    [
        ("ml1m", "ratings.dat", "1::10::5::978300760\n2::10::3::978300761\n1::20::4::978300762\n"),
        ("ml100k", "u.data", "1\t10\t5\t978300760\n2\t10\t3\t978300761\n1\t20\t4\t978300762\n"),
        (
            "ml25m",
            "ratings.csv",
            "userId,movieId,rating,timestamp\n1,10,5.0,978300760\n2,10,3.5,978300761\n1,20,4.0,978300762\n",
        ),
    ],
)
def test_liked_films_are_read_from_every_layout(tmp_path: Path, name: str, file: str, text: str):
    folder = prepared(tmp_path, name, text, file)

    assert pq.read_table(folder / "period_000.parquet").to_pydict() == {
        "user": [0, 0], "item": [0, 1], "time": [978300760.0, 978300762.0], "rating": [5.0, 4.0]
    }  # fmt: skip
    assert pq.read_table(folder / "items.parquet")["key"].to_pylist() == [10, 20]


GAP = "1::10::5::978300760\n2::10::3::\n"


def test_a_rating_without_a_time_is_an_error_with_both_cures(tmp_path: Path):
    message = (
        r"ratings\.dat, line 2 \(2::10::3::\): time is missing .*filters\.min_rating=4 .*filters\.missing_time=drop"
    )

    with pytest.raises(DataError, match=message):
        prepared(tmp_path, "ml1m", GAP, "ratings.dat", filters={"min_rating": None})


def test_ratings_without_a_time_are_dropped_and_counted_on_request(tmp_path: Path):
    folder = prepared(tmp_path, "ml1m", GAP, "ratings.dat", filters={"min_rating": None, "missing_time": "drop"})

    counts = json.loads((folder / "stream.json").read_text())["counts"]
    assert [(c["step"], c["rows"]) for c in counts] == [("read", 2), ("missing_time=drop", 1)]


def test_ratings_that_are_filtered_out_need_no_time(tmp_path: Path):
    folder = prepared(tmp_path, "ml1m", GAP, "ratings.dat")

    assert pq.read_table(folder / "period_000.parquet").num_rows == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1::10::5::1\n1::20::4\n",
            r"ratings\.dat, line 2 \(1::20::4\): not four fields separated by '::'; check data\.rel",
        ),
        ("1::10::5::1\n1::ten::4::2\n", r"ratings\.dat, line 2 .*: item is missing or of the wrong type"),
        (
            "1::10::5::1\n1::10::4::2\n",
            r"line 2 .*: user 1 and item 10 again, as in .*line 1 .*data\.filters\.repeats=first or keep",
        ),
    ],
)
def test_faults_are_named_by_their_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, "ml1m", text, "ratings.dat")


@pytest.mark.slow
def test_ml1m_has_a_time_for_every_liked_film(tmp_path: Path):
    root = Path(os.environ.get("RECRETRAIN_DATA", "nowhere"))
    if not (root / "ml-1m").exists():
        pytest.skip("RECRETRAIN_DATA holds no ml-1m")

    folder = prepare(load_source(CONF / "data/ml1m.yaml"), data_root=root, cache=tmp_path)

    counts = json.loads((folder / "stream.json").read_text())["counts"]
    assert [c["rows"] for c in counts] == [1_000_209, 575_281]
