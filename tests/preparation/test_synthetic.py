"""Generated data: read by the readers of the raw layouts, drifting, reproducible."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest

from recretrain.preparation.cut import ByCalendar, ByCount, Cut, FromEnd, FromStart
from recretrain.preparation.prepare import load_source, prepare
from recretrain.preparation.synthetic.tastes import picks
from recretrain.preparation.synthetic.yelp import YelpReviews

CONF = Path(__file__).parents[2] / "conf"
THREE_A_DAY = ByCalendar(
    every="day", hours=[0, 10, 17], time_zone="Europe/Oslo", empty="error", open="keep", since=None
)
YELP = {"reviews": 4000, "users": 100, "items": 200}
ADRESSA = {"days": 4, "clicks": 4000, "users": 200, "articles": 400}
DIGINETICA = {"days": 40, "clicks": 8000, "items": 300, "drift": {"genres": 5}}
YOOCHOOSE = {"days": 6, "clicks": 8000, "items": 300, "drift": {"genres": 5}}


def prepared(tmp: Path, name: str, cut: Cut, generator: Mapping[str, Any], **changes: Any) -> Path:
    source = load_source(CONF / f"data/{name}.yaml", generator=generator, **changes)
    return prepare(replace(source, cut=cut), data_root=tmp / "no-raw-data", cache=tmp / "cache")


def items(folder: Path, period: int) -> npt.NDArray[np.int64]:
    column: npt.NDArray[np.int64] = pq.read_table(folder / f"period_{period:03d}.parquet")["item"].to_numpy()
    return column


def write(tmp: Path, name: str, folder: str, **changes: Any) -> bytes:
    """All generated files of a seed, one after the other."""
    source = load_source(CONF / f"data/{name}.yaml", generator=changes)
    return b"".join(file.read_bytes() for file in source.synthesize(tmp / folder))


@pytest.mark.parametrize(
    ("name", "small"), [("yelp", YELP), ("adressa", ADRESSA), ("diginetica", DIGINETICA), ("yoochoose", YOOCHOOSE)]
)
def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path, name: str, small: dict[str, int]):
    first = write(tmp_path, name, "first", **small, seed=1)

    assert first == write(tmp_path, name, "again", **small, seed=1)
    assert first != write(tmp_path, name, "other", **small, seed=2)


def test_generated_reviews_are_read_as_raw_ones_and_marked_synthetic(tmp_path: Path):
    folder = prepared(tmp_path, "yelp", ByCount(periods=4), YELP, filters={"k_core": 0, "repeats": "error"})

    card = json.loads((folder / "stream.json").read_text())
    assert (card["source"], card["columns"]) == ("synthetic", ["user", "item", "rating", "time"])
    assert [p["rows"] for p in card["periods"]] == [1000] * 4


def test_generated_events_hold_the_front_page_and_every_part_of_every_day(tmp_path: Path):
    folder = prepared(tmp_path, "adressa", THREE_A_DAY, ADRESSA, days=4)

    card = json.loads((folder / "stream.json").read_text())
    assert [(c["step"], c["rows"]) for c in card["counts"][:2]] == [("read", 5000), ("front_page=drop", 4000)]
    assert len(card["periods"]) == 12


def test_other_generator_options_are_other_data_and_do_not_matter_to_raw_data(tmp_path: Path):
    def made() -> list[Path]:
        return [
            prepared(tmp_path, "yelp", ByCount(periods=2), YELP | {"seed": s}, filters={"k_core": 0}) for s in (0, 1)
        ]

    synthetic = made()
    write(tmp_path, "yelp", "no-raw-data/yelp", **YELP)
    raw = made()

    assert synthetic[0] != synthetic[1]
    assert raw[0] == raw[1]
    assert json.loads((raw[0] / "stream.json").read_text())["source"] == "raw"


def test_raw_files_are_not_looked_at_when_synthetic_data_are_asked_for(tmp_path: Path):
    write(tmp_path, "yelp", "no-raw-data/yelp", **YELP)

    folder = prepared(tmp_path, "yelp", ByCount(periods=2), YELP, filters={"k_core": 0}, source="synthetic")

    assert json.loads((folder / "stream.json").read_text())["source"] == "synthetic"


def test_the_popular_articles_of_a_day_are_mostly_new(tmp_path: Path):
    folder = prepared(tmp_path, "adressa", ByCount(periods=4), ADRESSA, days=4)
    first_period = pq.read_table(folder / "items.parquet")["first_period"].to_numpy()

    for period in (1, 2, 3):
        popular = np.argsort(np.bincount(items(folder, period), minlength=len(first_period)))[-20:]
        assert np.mean(first_period[popular] == period) > 0.5


def test_news_beat_old_favourites(tmp_path: Path):
    folder = prepared(tmp_path, "adressa", THREE_A_DAY, ADRESSA, days=4)

    for period in (9, 10, 11):  # of the last day
        old = np.concatenate([items(folder, p) for p in range(6)])
        assert hits(items(folder, period - 1), items(folder, period)) > 3 * hits(old, items(folder, period))


def hits(past: npt.NDArray[np.int64], future: npt.NDArray[np.int64]) -> float:
    """Share of the future's rows whose item is among the 20 most frequent of the past."""
    favourites = np.argsort(np.bincount(past))[-20:]
    return float(np.isin(future, favourites).mean())


def test_businesses_open_during_the_stream(tmp_path: Path):
    folder = prepared(tmp_path, "yelp", ByCount(periods=4), YELP, filters={"k_core": 0})

    first_period = pq.read_table(folder / "items.parquet")["first_period"].to_numpy()
    assert min(np.bincount(first_period)) > 5


@pytest.fixture(scope="module", params=["diginetica", "yoochoose"])
def sessions(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated sessions, prepared in five periods."""
    tmp = tmp_path_factory.mktemp("sessions")
    if request.param == "diginetica":
        return prepared(tmp, "diginetica", FromEnd(periods=5, days=7), DIGINETICA)
    return prepared(tmp, "yoochoose", FromStart(periods=5, days=1), YOOCHOOSE)


def test_generated_sessions_are_read_as_raw_ones_and_marked_synthetic(sessions: Path):
    card = json.loads((sessions / "stream.json").read_text())

    assert (card["source"], card["columns"], len(card["periods"])) == ("synthetic", ["user", "item", "time"], 5)


def test_enough_sessions_and_items_pass_the_filters(sessions: Path):
    counts = {c["step"]: c for c in json.loads((sessions / "stream.json").read_text())["counts"]}
    read, left = counts["read"], counts["min_session_clicks=2 again"]

    assert read["rows"] / read["users"] == pytest.approx(5, rel=0.1)  # geometric: a fifth has one click
    assert left["users"] / read["users"] == pytest.approx(0.8, rel=0.05)
    assert left["items"] > 0.8 * read["items"]


def test_items_appear_in_every_period(sessions: Path):
    first_period = pq.read_table(sessions / "items.parquet")["first_period"].to_numpy()

    assert min(np.bincount(first_period)) >= 5


def test_the_next_click_can_be_learned_from_the_last_one(sessions: Path):
    followed, popular = next_clicks(sessions, range(4), 4)

    assert followed > 0.4
    assert followed > 2 * popular


@pytest.mark.parametrize(("name", "small"), [("diginetica", DIGINETICA), ("yoochoose", YOOCHOOSE)])
def test_who_follows_whom_changes(tmp_path: Path, name: str, small: dict[str, int]):
    """Without new items and in periods of one size, so that nothing else does."""
    folder = prepared(tmp_path, name, ByCount(periods=5), {**small, "new_items": 0.0})

    early, _ = next_clicks(folder, [0, 1], 4)
    late, _ = next_clicks(folder, [2, 3], 4)

    assert late > 1.2 * early


def next_clicks(folder: Path, past: Sequence[int], future: int) -> tuple[float, float]:
    """Share of the next clicks of a period among the 20 that followed most in the past, and among its 20 favourites."""
    clicks, following = (np.concatenate(column) for column in zip(*(pairs(folder, p) for p in past), strict=True))
    size = pq.read_table(folder / "items.parquet").num_rows
    often = np.zeros((size, size))
    np.add.at(often, (clicks, following), 1)
    last, following_now = pairs(folder, future)
    popular = often.sum(axis=0)
    foreseen = np.argsort(-(often + popular / popular.sum())[last], axis=1)[:, :20]
    favourites = np.argsort(-popular)[:20]
    return float((foreseen == following_now[:, None]).any(axis=1).mean()), float(
        np.isin(following_now, favourites).mean()
    )


def pairs(folder: Path, period: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every click of a period that another follows in its session, and that one."""
    table = pq.read_table(folder / f"period_{period:03d}.parquet")
    session = table["user"].to_numpy()
    order = np.argsort(session, kind="stable")
    inside = np.diff(session[order]) == 0
    item = items(folder, period)[order]
    return item[:-1][inside], item[1:][inside]


@pytest.fixture(scope="module")
def genres() -> list[npt.NDArray[np.float64]]:
    """Of each quarter of generated reviews: how often every user took every genre.

    Less the mean user.  # 4 times [users, genres]
    """
    generator = load_source(CONF / "data/yelp.yaml", generator={"users": 200, "items": 600}).generator
    assert isinstance(generator, YelpReviews)
    rng = np.random.default_rng(0)
    world = generator.world(rng)
    world.crowd.joined[:], world.crowd.left[:] = 0.0, 2.0
    moments = np.sort(rng.random(60_000))
    users, taken = picks(world, moments, rng)
    quarter = (moments * 4).astype(int)
    counts = np.zeros((4, 200, generator.drift.genres))
    np.add.at(counts, (quarter, users, world.offer.genre[taken]), 1)
    return [c - c.mean(axis=0) for c in counts / counts.sum(axis=2, keepdims=True)]


def test_users_who_shared_tastes_early_do_not_share_them_late(genres: list[npt.NDArray[np.float64]]):
    alike = [np.corrcoef(g)[np.triu_indices(200, k=1)] for g in genres]

    soon = np.corrcoef(alike[0], alike[1])[0, 1]
    late = np.corrcoef(alike[0], alike[3])[0, 1]

    assert late < 0.5 * soon


def test_tastes_turn_gradually(genres: list[npt.NDArray[np.float64]]):
    likeness = [float((genres[0] * g).sum() / np.sqrt((genres[0] ** 2).sum() * (g**2).sum())) for g in genres]

    assert likeness[1] > 0.5
    assert likeness[1] > likeness[2] > likeness[3]


def test_tastes_are_of_low_rank(genres: list[npt.NDArray[np.float64]]):
    """A handful of genres explains all users: what factorisation needs."""
    assert np.abs(genres[0]).max(axis=1).mean() > 0.2


def test_more_reviews_than_pairs_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match="4000 picks are more than 10 users and 20 items give"):
        write(tmp_path, "yelp", "x", reviews=4000, users=10, items=20)


@pytest.mark.slow
def test_a_million_reviews_are_prepared_within_a_gigabyte(tmp_path: Path):
    """Peak memory is that of a process, so another one prepares them."""
    import subprocess
    import sys

    script = f"""
from pathlib import Path
from recretrain.preparation.prepare import load_source, prepare
source = load_source(Path({str(CONF)!r}) / "data/yelp.yaml", path={str(tmp_path / "raw")!r})
prepare(source, data_root=Path("."), cache=Path({str(tmp_path / "cache")!r}))
from benchmarks.memory import peak_mb  # not `ru_maxrss`, which starts at what this process holds
print(int(peak_mb()))
"""
    write(tmp_path, "yelp", "raw", reviews=1_000_000, users=40_000, items=25_000)

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert int(done.stdout) < 1024
