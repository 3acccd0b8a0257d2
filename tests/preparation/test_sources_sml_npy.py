"""The period files of SML's authors."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
TRAIN = [[(3, 0), (1, 1)], [(3, 2), (0, 0), (1, 2)]]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two periods; 5 users (2 and 4 never seen), 4 items (3 never taken); candidates for the second period."""
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
    np.save(tmp_path / "information.npy", np.array([5, 5, 4]))
    for period, pairs in enumerate(TRAIN):
        np.save(tmp_path / f"train/{period}.npy", np.array(pairs))
    np.save(tmp_path / "test/1.npy", np.array([(1, 2, 0, 3), (3, 2, 1, 3), (0, 0, 1, 2)]))
    return tmp_path


def prepared(raw: Path) -> Path:
    source = load_source(CONF / "data/sml_yelp.yaml", path=str(raw))
    return prepare(replace(source, cut=ByCount(periods=40)), data_root=raw, cache=raw / "cache")


def test_periods_and_ids_are_those_of_the_files(raw: Path):
    folder = prepared(raw)

    first = pq.read_table(folder / "period_000.parquet").to_pydict()
    assert first == {"user": [3, 1], "item": [0, 1]}
    card = json.loads((folder / "stream.json").read_text())
    assert (card["n_users"], card["n_items"], len(card["periods"])) == (5, 4, 2)


def test_ids_that_never_appear_are_kept_and_first_appear_after_the_end(raw: Path):
    folder = prepared(raw)

    assert pq.read_table(folder / "users.parquet")["first_period"].to_pylist() == [1, 0, 2, 0, 2]
    assert pq.read_table(folder / "items.parquet")["first_period"].to_pylist() == [0, 0, 1, 2]


def test_stored_candidates_stand_row_by_row_with_their_interactions(raw: Path):
    folder = prepared(raw)

    rows = pq.read_table(folder / "period_001.parquet").to_pydict()
    candidates = np.load(folder / "candidates_001.npy")
    assert list(zip(rows["user"], rows["item"], strict=True)) == [(1, 2), (3, 2), (0, 0)]
    assert candidates.dtype == np.int32
    assert candidates.tolist() == [[0, 3], [1, 3], [1, 2]]
    assert not (folder / "candidates_000.npy").exists()


def test_a_cut_makes_no_difference(raw: Path):
    source = load_source(CONF / "data/sml_yelp.yaml", path=str(raw))

    assert prepare(replace(source, cut=ByCount(periods=7)), data_root=raw, cache=raw / "cache") == prepared(raw)


def spoil(raw: Path, file: str, values: list) -> None:
    np.save(raw / file, np.array(values))


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("train/1.npy", [(9, 2)], r"1\.npy and .*1\.npy hold different interactions"),
        ("train/0.npy", [(9, 2)], r"train/0\.npy: user 9, but information\.npy says 5 users \(0\.\.4\)"),
        ("train/0.npy", [(0, 0.5)], r"train/0\.npy: numbers that are not whole"),
        (
            "test/1.npy",
            [(1, 2, 0, 7), (3, 2, 1, 3), (0, 0, 1, 2)],
            r"test/1\.npy: candidates outside 0\.\.3 from row 0",
        ),
        ("information.npy", [5], r"information\.npy: 1 numbers"),
    ],
)
def test_files_that_do_not_fit_together_are_named(raw: Path, file: str, values: list, message: str):
    spoil(raw, file, values)

    with pytest.raises(DataError, match=message):
        prepared(raw)


def test_a_period_without_a_file_is_named(raw: Path):
    (raw / "train/1.npy").rename(raw / "train/2.npy")
    (raw / "test/1.npy").unlink()

    with pytest.raises(DataError, match="period 1 has no interactions; the next file is of period 2"):
        prepared(raw)


def test_a_file_that_is_cut_short_is_named(raw: Path):
    (raw / "train/1.npy").write_bytes((raw / "train/1.npy").read_bytes()[:-8])

    with pytest.raises(DataError, match=r"train/1\.npy: not a readable \.npy file"):
        prepared(raw)
