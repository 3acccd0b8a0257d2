"""Two domains with users in common: who is cold, who vanishes, and which rows are given, learned or asked."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from recretrain.errors import DataError
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
FILES = {"first": "first_5.json.gz", "second": "second_5.json"}
LOOSE = {"min_item": 1, "min_user": 1}
WORDS = {"max_df": 1.0, "size": 4}
Review = tuple[str, str, float, int, str]  # user, item, stars, time, text


def review(user: Any, item: Any, stars: float = 4.0, time: int = 0, text: str = "good thing") -> Review:
    return str(user), str(item), stars, time, text


def write(file: Path, reviews: Iterable[Review]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    keys = ("reviewerID", "asin", "overall", "unixReviewTime", "reviewText")
    text = "".join(json.dumps(dict(zip(keys, one, strict=True)) | {"summary": "s"}) + "\n" for one in reviews)
    file.write_bytes(gzip.compress(text.encode()) if file.suffix == ".gz" else text.encode())


def prepared(tmp: Path, first: Sequence[Review], second: Sequence[Review], **changes: Any) -> Path:
    """Changes of `domains`, of its `core` and `texts`, and of `split`."""
    write(tmp / "raw" / FILES["first"], first)
    write(tmp / "raw" / FILES["second"], second)
    domains = {
        "source_name": "first",
        "target_name": "second",
        "source_file": FILES["first"],
        "target_file": FILES["second"],
        "core": LOOSE | changes.pop("core", {}),
        "texts": WORDS | changes.pop("texts", {}),
    }
    source = load_source(CONF / "data/amazon_pair.yaml", path="raw", source="raw", domains=domains, **changes)
    return prepare(source, data_root=tmp, cache=tmp / "cache")


def card(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "stream.json").read_text())
    return found


def rows(folder: Path, part: str, period: int = 0) -> list[tuple[str, str]]:
    """Raw user and item of the rows of one part, in order."""
    keys = {kind: pq.read_table(folder / f"{kind}s.parquet")["key"].to_pylist() for kind in ("user", "item")}
    table = pq.read_table(folder / f"period_{period:03d}.parquet").to_pydict()
    number = ("train", "valid", "test", "context").index(part)
    columns = zip(table["user"], table["item"], table["part"], strict=True)
    return [(keys["user"][user], keys["item"][item]) for user, item, own in columns if own == number]


def users(folder: Path, part: str) -> set[str]:
    return {user for user, _ in rows(folder, part)}


def texts(folder: Path, period: int = 0) -> list[list[str]]:
    words = pq.read_table(folder / "words.parquet")["word"].to_pylist()
    stored = np.load(folder / f"tokens_{period:03d}.npz")
    return [[words[n] for n in one] for one in np.split(stored["values"], stored["offsets"][1:-1])]


BOTH = range(20)  # users with two rows in each domain
FIRST = [review(f"u{u}", f"a{(u + i) % 7}") for u in (*BOTH, 30, 31) for i in range(2)]
SECOND = [review(f"u{u}", f"b{(u + i) % 5}") for u in (*BOTH, 40, 41) for i in range(2)]


def test_source_rows_are_given_and_target_rows_are_learned_or_asked(tmp_path: Path):
    folder = prepared(tmp_path, FIRST, SECOND)

    assert card(folder)["spaces"] == ["first", "second"]
    assert [(p["name"], p["rows"], p["space"]) for p in card(folder)["periods"]] == [("eta 1", 88, 1)]
    assert rows(folder, "context") == [(user, item) for user, item, *_ in FIRST]
    asked = users(folder, "valid") | users(folder, "test")
    assert rows(folder, "train") == [(user, item) for user, item, *_ in SECOND if user not in asked]
    parts = pq.read_table(folder / "period_000.parquet")["part"].to_pylist()
    assert parts[:44] == [3] * 44  # the context first


def test_half_of_the_common_users_are_cold_and_two_fifths_of_these_choose(tmp_path: Path):
    folder = prepared(tmp_path, FIRST, SECOND)

    sizes = {part: len(users(folder, part)) for part in ("valid", "test", "train")}
    assert sizes == {"valid": 4, "test": 6, "train": 12}
    assert not users(folder, "valid") & users(folder, "test")
    assert users(folder, "train") >= {"u40", "u41"}  # users of the target domain alone


def test_eta_takes_common_users_away_in_both_domains_and_changes_no_question(tmp_path: Path):
    whole, half, fifth = (prepared(tmp_path, FIRST, SECOND, split={"eta": eta}) for eta in (1.0, 0.5, 0.25))

    for part in ("valid", "test"):
        assert rows(whole, part) == rows(half, part) == rows(fifth, part)
    common = [users(folder, "train") - {"u40", "u41"} for folder in (whole, half, fifth)]
    assert [len(some) for some in common] == [10, 5, 2]
    assert common[0] > common[1] > common[2]
    gone = common[0] - common[2]
    assert users(fifth, "context") == users(whole, "context") - gone
    assert [c["rows"] for c in card(fifth)["counts"][-2:]] == [88, 56]
    assert card(fifth)["counts"][-1]["step"] == "eta=0.25"


def test_another_seed_draws_other_cold_users(tmp_path: Path):
    one, other = (prepared(tmp_path, FIRST, SECOND, split={"seed": seed}) for seed in (0, 1))

    assert users(one, "test") != users(other, "test")
    assert len(users(one, "test")) == len(users(other, "test"))


def test_the_order_of_the_files_draws_the_same_users(tmp_path: Path):
    one = prepared(tmp_path / "a", FIRST, SECOND)
    other = prepared(tmp_path / "b", FIRST[::-1], SECOND[::-1])

    assert all(users(one, part) == users(other, part) for part in ("valid", "test", "train", "context"))


def test_a_pair_again_is_dropped_before_the_split_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    again = [review("u1", "a1", 1.0, text="first"), *FIRST, review("u30", "a30"), review("u30", "a30", 2.0)]

    folder = prepared(tmp_path, again, SECOND)

    steps = {count["step"]: count["rows"] for count in card(folder)["counts"]}
    assert (steps["no text"], steps["a user's item again"]) == (91, 89)
    assert "a user's item again dropped 2 rows" in caplog.text
    table = pq.read_table(folder / "period_000.parquet").to_pydict()
    assert table["rating"][0] == 1.0  # the first one is kept


def test_rare_items_of_a_domain_are_dropped_before_rare_users_once(tmp_path: Path):
    extra = [review("u50", "b0"), review("u50", "rare"), review("u0", "a0"), review("u51", "a0"), review("u51", "b0")]
    first = [*FIRST, *(one for one in extra if one[1][0] == "a")]
    second = [*SECOND, *(one for one in extra if one[1][0] != "a"), review("u51", "b1")]

    once = prepared(tmp_path, first, second, core={"min_item": 2, "min_user": 2})

    kept = {pair for part in ("context", "train", "valid", "test") for pair in rows(once, part)}
    assert {item for user, item in kept if user == "u51"} == {"b0", "b1"}  # one row in the first domain, two here
    assert "u50" not in {user for user, _ in kept}  # one row is left to him
    assert ("u0", "a0") in kept


def test_a_core_to_the_end_leaves_nothing_rare(tmp_path: Path):
    """The user z keeps y above the least only until w is gone."""
    chain = [review("z", "y"), review("z", "w"), review("u0", "y")]

    folders = [
        prepared(tmp_path, [*FIRST, *chain], SECOND, core={"min_item": 2, "min_user": 2, "fixpoint": to_end})
        for to_end in (False, True)
    ]

    assert [("u0", "y") in rows(folder, "context") for folder in folders] == [True, False]


def test_a_row_without_a_text_is_dropped(tmp_path: Path):
    folder = prepared(tmp_path, [*FIRST, review("u0", "silent", text="")], SECOND)

    assert "silent" not in pq.read_table(folder / "items.parquet")["key"].to_pylist()
    assert card(folder)["counts"][1] == {"step": "no text", "rows": 88, "users": 24, "items": 12}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"split": {"eta": 0.05}},
            r"20 users are in both domains, too few for one to be common with data.split.eta=0.05",
        ),
        ({"split": {"cold": 0.01}}, r"too few for one to be test with data.split.cold=0.01; raise it, or loosen data"),
        ({"split": {"valid": 0.01}}, r"too few for one to be valid with data.split.valid=0.01"),
        ({"core": {"min_item": 100}}, r"0 users are in both domains, too few"),
    ],
)
def test_a_split_that_leaves_a_part_empty_is_refused(tmp_path: Path, changes: dict[str, Any], message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, FIRST, SECOND, **changes)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (review("u0", "a9", "many"), r"first_5.json.gz, line 45 .*: rating is missing or of the wrong type"),  # type: ignore[arg-type]
        (review("u0", "a9", 4.0, "soon"), r"first_5.json.gz, line 45 .*: time is missing or of the wrong type"),  # type: ignore[arg-type]
    ],
)
def test_a_damaged_row_is_named(tmp_path: Path, bad: Review, message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, [*FIRST, bad], SECOND)


def test_a_file_without_the_other_is_named(tmp_path: Path):
    write(tmp_path / "raw" / FILES["first"], FIRST)
    names = {"source_file": FILES["first"], "target_file": FILES["second"]}

    with pytest.raises(DataError, match=r"second_5.json is missing beside first_5.json.gz; get it, or set"):
        prepare(
            load_source(CONF / "data/amazon_pair.yaml", path="raw", source="raw", domains=names),
            data_root=tmp_path,
            cache=tmp_path,
        )
