"""Generated reviews of two domains: read as real ones, told by words, and bounded by what can be known."""

from __future__ import annotations

import csv
import gzip
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recretrain.errors import DataError
from recretrain.preparation.prepare import describe, load_source, prepare
from recretrain.preparation.synthetic.reviews import END, FILES, START, AmazonReviews, Opinions, Speech

CONF = Path(__file__).parents[2] / "conf"
OPINIONS = {"aspects": 3, "taste": 0.8, "biases": 0.35, "noise": 0.5, "drift": 0.0, "permuted": False}
SPEECH = {"length": 40, "talk": 0.5, "lexicon": 6, "shared": 0.5, "common": 100}
SIZES = {"users": 300, "items": 60, "reviews": 4000, "overlap": 0.7, "flaws": 0.0, "seed": 0}
Review = dict[str, Any]


def written(
    folder: Path, *, opinions: dict[str, Any] | None = None, speech: dict[str, Any] | None = None, **sizes: Any
):
    folder.mkdir(parents=True)
    generator = AmazonReviews(
        opinions=Opinions(**OPINIONS | (opinions or {})), speech=Speech(**SPEECH | (speech or {})), **SIZES | sizes
    )
    generator.write(folder)
    return [[json.loads(line) for line in gzip.open(folder / name, "rt")] for name in FILES]


def bounds(folder: Path) -> dict[str, float]:
    with (folder / "bounds.csv").open() as file:
        return {row["bound"]: float(row["mse"]) for row in csv.DictReader(file)}


def test_a_seed_gives_the_same_reviews_and_another_seed_others(tmp_path: Path):
    first, again, other = (written(tmp_path / name, reviews=500, seed=s) for name, s in (("a", 1), ("b", 1), ("c", 2)))

    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_they_are_read_like_real_ones_with_their_flaws(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    sizes = {"users": 200, "items": 40, "reviews": 3000, "flaws": 0.05}
    source = load_source(CONF / "data/amazon_pair.yaml", source="synthetic", generator=sizes)

    card = describe(prepare(source, data_root=tmp_path, cache=tmp_path / "cache"))

    assert (card["source"], card["spaces"]) == ("synthetic", ["books", "films"])
    assert "ratings in the target domain by users of both: oracle 0." in caplog.text
    rows = {count["step"]: count["rows"] for count in card["counts"]}
    assert rows["a user's item again"] == 6000  # all but the flaws
    assert 200 < rows["read"] - rows["no text"] < 400
    assert 200 < rows["no text"] - 6000 < 400
    assert card["periods"][0]["test"] > 300


def test_their_vectors_are_beside_them(tmp_path: Path):
    texts = {"vectors": "file", "file": "vectors.txt"}
    sizes = {"users": 100, "items": 40, "reviews": 2000}
    source = load_source(CONF / "data/amazon_pair.yaml", source="synthetic", domains={"texts": texts}, generator=sizes)

    folder = prepare(source, data_root=tmp_path, cache=tmp_path / "cache")

    vectors = np.load(folder / "word_vectors.npy")
    assert vectors.shape == (describe(folder)["tokens"], 32)
    assert vectors.any(axis=1).all()


def test_pairs_differ_and_items_stand_together(tmp_path: Path):
    for reviews in written(tmp_path / "a"):
        pairs = [(one["reviewerID"], one["asin"]) for one in reviews]
        items = [item for _, item in pairs]
        assert len({*pairs}) == len(reviews) == 4000
        assert items == sorted(items)
        assert {one["overall"] for one in reviews} == {1.0, 2.0, 3.0, 4.0, 5.0}


def test_more_reviews_than_there_are_pairs_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"data.generator.reviews=4000: too many for 60 users and 60 items"):
        written(tmp_path / "a", users=60)


def test_users_of_both_domains_come_to_the_target_later_at_any_time(tmp_path: Path):
    """So that every period over time has cold users."""
    first: list[dict[str, int]] = []
    for reviews in written(tmp_path / "a"):
        times = sorted((one["unixReviewTime"], one["reviewerID"]) for one in reviews)
        first.append({user: time for time, user in reversed(times)})

    both = sorted(first[0].keys() & first[1].keys())
    assert 180 < len(both) <= 210
    assert np.mean([first[0][user] < first[1][user] for user in both]) > 0.8
    came = (np.array([first[1][user] for user in both]) - START) / (END - START)
    assert (np.histogram(came, 5, (0, 1))[0] > 10).all()


def told(reviews: list[Review], key: str, aspects: int = 3) -> dict[str, np.ndarray]:
    """How often words for good less those for bad of each aspect are said, by user or by item, per word of aspects."""
    counts: dict[str, Counter[str]] = {}
    for one in reviews:
        counts.setdefault(one[key], Counter()).update(one["reviewText"].lower().strip(".").split())
    vectors = {}
    for name, count in counts.items():
        by = np.zeros((aspects, 2))
        for word, times in count.items():
            for aspect in range(aspects):
                for how in range(2):
                    if f"{aspect}{('bad', 'good')[how]}" in word:
                        by[aspect, how] += times
        vectors[name] = (by[:, 1] - by[:, 0]) / max(by.sum(), 1)
    return vectors


def reached(source: list[Review], target: list[Review]) -> tuple[float, float]:
    """Mean squared errors on half of the users of both: of a ridge on what words tell, and of items' shrunk means."""
    taste, both = told(source, "reviewerID"), sorted({one["reviewerID"] for one in source})
    cold = {user for user in both if int(user[1:]) % 2}
    train = [one for one in target if one["reviewerID"] not in cold]
    test = [one for one in target if one["reviewerID"] in cold and one["reviewerID"] in taste]
    level = told(train, "asin")
    mean = float(np.mean([one["overall"] for one in train]))
    stars: dict[str, list[float]] = {}
    for one in train:
        stars.setdefault(one["asin"], []).append(one["overall"] - mean)
    item = {name: sum(own) / (len(own) + 5) for name, own in stars.items()}

    def features(reviews: list[Review]) -> tuple[np.ndarray, np.ndarray]:
        of = [(taste[one["reviewerID"]], level[one["asin"]], item[one["asin"]], one["overall"]) for one in reviews]
        return np.array([[1, bias, *np.outer(t, q).ravel()] for t, q, bias, _ in of]), np.array([s for *_, s in of])

    x, y = features([one for one in train if one["reviewerID"] in taste])
    weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ y)
    x, y = features(test)
    return float(np.mean((x @ weights - y) ** 2)), float(np.mean((x[:, 1] + mean - y) ** 2))


def test_words_of_the_source_tell_ratings_of_the_target_within_the_bounds(tmp_path: Path):
    source, target = written(tmp_path / "a", reviews=6000, seed=3)

    words, item_mean = reached(source, target)

    bound = bounds(tmp_path / "a")
    assert bound["oracle"] < words < item_mean - 0.1
    assert bound["oracle"] < bound["biases"] < bound["global"]
    assert bound["biases"] < item_mean


def test_without_talk_words_tell_nothing(tmp_path: Path):
    source, target = written(tmp_path / "a", reviews=6000, seed=3, speech={"talk": 0.0})

    words, item_mean = reached(source, target)

    assert words == pytest.approx(item_mean, abs=0.02)


def test_without_taste_the_biases_are_all_there_is(tmp_path: Path):
    written(tmp_path / "a", opinions={"taste": 0.0})

    bound = bounds(tmp_path / "a")
    assert bound["oracle"] == pytest.approx(bound["biases"], abs=1e-4)


def test_the_oracle_is_the_noise_and_the_rounding(tmp_path: Path):
    """Far from the ends of the scale: the variance of the noise and a twelfth for the rounding."""
    written(tmp_path / "a", opinions={"taste": 0.1, "biases": 0.1, "noise": 0.5}, reviews=4000)

    clipped = bounds(tmp_path / "a")["oracle"]
    assert clipped == pytest.approx(0.5**2 + 1 / 12, abs=0.06)


@pytest.mark.parametrize(("shared", "common"), [(0.0, 0), (0.5, 1), (1.0, 2)])
def test_domains_share_words_as_far_as_is_asked(tmp_path: Path, shared: float, common: int):
    domains = [
        {
            word
            for one in reviews
            for word in one["reviewText"].lower().strip(".").split()
            if not word.startswith("common")
        }
        for reviews in written(tmp_path / "a", speech={"shared": shared})
    ]

    assert len(domains[0] & domains[1]) == common * 3 * 2 * 3  # of 6 words for 3 aspects, bad and good


def constancy(reviews: list[Review]) -> float:
    """How far what users tell in the first half of the time agrees with the second."""
    ordered = sorted(reviews, key=lambda one: one["unixReviewTime"])
    middle = len(ordered) // 2
    early, late = told(ordered[:middle], "reviewerID"), told(ordered[middle:], "reviewerID")
    return float(np.mean([early[user] @ late[user] for user in sorted(early.keys() & late.keys())]))


def test_tastes_that_turn_are_told_by_when(tmp_path: Path):
    steady, turning = (
        written(tmp_path / str(drift), users=40, reviews=1200, opinions={"drift": drift})[0] for drift in (0.0, 3.14)
    )

    assert constancy(turning) < 0.5 * constancy(steady)
