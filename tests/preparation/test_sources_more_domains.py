"""Two domains from other files: clusters of one file, ratings alone, critics by genre, an own table; and over time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.errors import InstantiationException
from preparation.test_sources_domains import FIRST, SECOND, card, prepared, review, rows, texts, users, write

from recretrain.errors import DataError
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare
from recretrain.preparation.sources.critics import plain_title

CONF = Path(__file__).parents[2] / "conf"
REAL = Path(os.environ.get("RECRETRAIN_DATA", "none"))


def made(tmp: Path, name: str, **changes: Any) -> Path:
    return prepare(load_source(CONF / f"data/{name}.yaml", **changes), data_root=tmp, cache=tmp / "cache")


# clusters of one file -------------------------------------------------------------------------------------------------

STRINGS, DRUMS = "strings of steel on a guitar neck", "sticks and skins for a loud snare drum"


def test_items_that_are_spoken_of_alike_are_one_domain(tmp_path: Path):
    """Items of both kinds alternate in the file; those of guitars have more reviews."""
    reviews = [
        review(f"u{u}", f"{kind}{(u + i) % 4}", text=text)
        for u in range(12)
        for kind, text, count in (("g", STRINGS, 3), ("d", DRUMS, 2))
        for i in range(count)
    ]
    write(tmp_path / "reviews.json.gz", reviews)

    domains = {"core": {"min_item": 1}, "components": 2, "texts": {"max_df": 1.0}}
    folder = made(tmp_path, "amazon_clustered", path="reviews.json.gz", domains=domains)

    items = pq.read_table(folder / "items.parquet").to_pydict()
    assert {(key[0], space) for key, space in zip(items["key"], items["space"], strict=True)} == {("g", 0), ("d", 1)}
    assert rows(folder, "context") == [(user, item) for user, item, *_ in reviews if item[0] == "g"]
    assert texts(folder)[0] == ["strings", "of", "steel", "on", "guitar", "neck"]


def test_one_item_makes_no_two_domains(tmp_path: Path):
    write(tmp_path / "reviews.json.gz", [review("u", "one")])

    with pytest.raises(DataError, match="it has reviews of 1 items, too few for two clusters"):
        made(tmp_path, "amazon_clustered", path="reviews.json.gz")


@pytest.mark.skipif(not (REAL / "amazon").is_dir(), reason="RECRETRAIN_DATA holds no amazon")
def test_the_real_instruments_have_as_many_common_users_as_are_known(tmp_path: Path):
    source = load_source(CONF / "data/amazon_clustered.yaml", domains={"texts": None})

    folder = prepare(source, data_root=REAL, cache=tmp_path)

    counts = card(folder)["counts"]
    assert [(c["step"], c["rows"]) for c in counts[:2]] == [("read", 10_261), ("a user's item again", 10_261)]
    target = {part: len(rows(folder, part)) for part in ("train", "valid", "test")}
    assert 3_400 < sum(target.values()) < 3_600
    assert len(rows(folder, "context")) + sum(target.values()) == 10_261
    cold = len(users(folder, "valid")) + len(users(folder, "test"))
    assert 480 < cold < 510
    assert not list(folder.glob("tokens_*"))


# ratings alone --------------------------------------------------------------------------------------------------------


def write_ratings(folder: Path, *, header: str = "", last: str = "") -> None:
    folder.mkdir()
    for name, reviews in (("book.dat", FIRST), ("music.dat", SECOND)):
        lines = [f"{user}\t{item}\t{stars}\n" for user, item, stars, *_ in reviews]
        (folder / name).write_text(header + "".join(lines) + last)


def test_ratings_have_neither_texts_nor_times(tmp_path: Path):
    write_ratings(tmp_path / "douban")

    folder = made(tmp_path, "douban")

    assert card(folder)["columns"] == ["user", "item", "rating", "part"]
    assert rows(folder, "context") == [(user, item) for user, item, *_ in FIRST]
    assert "tokens" not in card(folder)


def test_a_first_line_of_names_is_no_rating(tmp_path: Path):
    write_ratings(tmp_path / "douban", header="user_id\titem_id\trating\n")

    folder = made(tmp_path, "douban", domains={"header": True})

    assert sum(period["rows"] for period in card(folder)["periods"]) == len(FIRST) + len(SECOND)
    with pytest.raises(DataError, match=r"book.dat, line 1 \(user_id.*\): rating is missing or of the wrong type"):
        made(tmp_path, "douban")


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("u0\ta0\tfine\n", r"book.dat, line 45 .*: rating is missing or of the wrong type"),
        ("u0\ta0\n", r"book.dat, line 45 .*: not three fields between tabs"),
    ],
)
def test_a_damaged_rating_is_named(tmp_path: Path, last: str, message: str):
    write_ratings(tmp_path / "douban", last=last)

    with pytest.raises(DataError, match=message):
        made(tmp_path, "douban")


def test_a_domain_without_its_file_is_named(tmp_path: Path):
    write_ratings(tmp_path / "douban")
    (tmp_path / "douban/music.dat").unlink()

    with pytest.raises(DataError, match=r"music.dat is missing beside book.dat"):
        made(tmp_path, "douban")


@pytest.mark.skipif(not (REAL / "douban").is_dir(), reason="RECRETRAIN_DATA holds no douban")
@pytest.mark.parametrize(
    ("name", "read", "left", "common"),
    [("douban", 165_750, 165_750, 1_566), ("amazon_books_movies", 106_172, 93_588, 1_329)],
)
def test_the_real_ratings_have_as_many_common_users_as_are_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, read: int, left: int, common: int
):
    caplog.set_level("INFO")

    folder = prepare(load_source(CONF / f"data/{name}.yaml"), data_root=REAL, cache=tmp_path)

    counts = card(folder)["counts"]
    assert (counts[0]["rows"], counts[-1]["rows"]) == (read, left)
    assert f"{common} users are in both domains: " in caplog.text


# critics --------------------------------------------------------------------------------------------------------------

FILMS = "1::Big Sleep, The (1946)::Crime|Mystery\n2::Ran (Chaos) (1985)::Drama|War\n3::E.T. the Extra (1982)::Fantasy\n"
HEAD = "critic,fresh,imdb,publication,quote,review_date,rtid,title\n"


def quote(critic: str, film: str, *, fresh: str = "fresh", said: str = '"well made, really"', date: str = "2001-02-03"):
    return f"{critic},{fresh},0,Paper,{said},{date},{sum(map(ord, film))},{film}\n"


def write_critics(tmp: Path, *more: str) -> None:
    (tmp / "rt_critics").mkdir()
    (tmp / "ml-1m").mkdir()
    (tmp / "ml-1m/movies.dat").write_text(FILMS, encoding="latin-1")
    both = [quote(f"c{n}", film) for n in range(10) for film in ("The Big Sleep", "Ran", "E.T. The Extra")]
    (tmp / "rt_critics/critics.csv").write_text(HEAD + "".join([*both, *more]))


def test_dramas_are_the_target_and_verdicts_the_ratings(tmp_path: Path):
    write_critics(tmp_path, quote("solo", "Ran", fresh="rotten"))

    folder = made(tmp_path, "rt_critics", domains={"texts": {"max_df": 1.0}})

    target = [pair for part in ("train", "valid", "test") for pair in rows(folder, part)]
    assert len({item for _, item in target}) == 1
    assert len(target) == 11
    assert len(rows(folder, "context")) == 20
    table = pq.read_table(folder / "period_000.parquet").to_pydict()
    assert sorted(set(table["rating"])) == [0.0, 1.0]
    assert texts(folder)[0] == ["well", "made", "really"]


def test_quotes_that_say_nothing_are_dropped_step_by_step(tmp_path: Path):
    useless = [quote("", "Ran"), quote("c1", "Ran", fresh="none"), quote("c2", "Ran", said=""), quote("c3", "Alien")]
    write_critics(tmp_path, *useless)

    folder = made(tmp_path, "rt_critics", domains={"texts": {"max_df": 1.0}})

    assert [(c["step"], c["rows"]) for c in card(folder)["counts"][:4]] == [
        ("read", 34),
        ("no critic or verdict", 32),
        ("no text", 31),
        ("no genre", 30),
    ]


def test_dates_that_stand_for_none_are_dropped_over_time_alone(tmp_path: Path):
    write_critics(tmp_path, quote("c20", "Ran", date="1800-01-01"))
    domains = {"texts": {"max_df": 1.0}}

    split = made(tmp_path, "rt_critics", domains=domains)
    source = load_source(CONF / "data/rt_critics.yaml", domains=domains, split=None, cut=None)
    timed = prepare(
        type(source)(**{**vars(source), "cut": ByCount(periods=1)}), data_root=tmp_path, cache=tmp_path / "cache"
    )

    assert [sum(p["rows"] for p in card(folder)["periods"]) for folder in (split, timed)] == [31, 30]


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("Big Sleep, The (1946)", "thebigsleep"),
        ("The Big Sleep", "thebigsleep"),
        ("City of Lost Children, The (Cité des enfants perdus, La) (1995)", "thecityoflostchildren"),
        ("E.T. the Extra-Terrestrial (1982)", "ettheextraterrestrial"),
        ("Lock, Stock & Two Smoking Barrels (1998)", "lockstockandtwosmokingbarrels"),
    ],
)
def test_titles_are_compared_without_their_dress(title: str, plain: str):
    assert plain_title(title) == plain


def test_a_genre_that_no_film_has_is_refused(tmp_path: Path):
    write_critics(tmp_path)

    with pytest.raises(DataError, match=r"data.domains.genre=Opera: no film is of it; movies.dat has Crime, Drama"):
        made(tmp_path, "rt_critics", domains={"genre": "Opera"})


def test_critics_without_films_are_refused(tmp_path: Path):
    write_critics(tmp_path)
    (tmp_path / "ml-1m/movies.dat").unlink()

    with pytest.raises(DataError, match=r"movies.dat is missing, which tells the genres"):
        made(tmp_path, "rt_critics")


# one's own table ------------------------------------------------------------------------------------------------------


KEYS = ("who", "what", "where", "stars", "said", "day")


def own_rows(*more: dict[str, Any]) -> list[dict[str, Any]]:
    own = [
        dict(zip(KEYS, (user, item, domain, stars, f"about {item}", f"2020-01-{n % 28 + 1:02d}"), strict=True))
        for domain, reviews in (("books", FIRST), ("films", SECOND))
        for n, (user, item, stars, *_) in enumerate(reviews)
    ]
    return [*own, *more]


NAMES = {"user": "who", "item": "what", "domain": "where", "rating": "stars", "text": "said", "timestamp": "day"}
OWN = {"source_name": "books", "target_name": "films", "columns": {**NAMES, "time_unit": "iso"}}


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_table_of_ones_own_is_read_by_its_columns(tmp_path: Path, suffix: str):
    other = {"who": "u0", "what": "g1", "where": "games", "stars": 3.0, "said": "no", "day": "2020-01-01"}
    table = pa.Table.from_pylist(own_rows(other))
    if suffix == "parquet":
        pq.write_table(table, tmp_path / "own.parquet")
    else:
        table.to_pandas().to_csv(tmp_path / "own.csv", index=False)

    folder = made(tmp_path, "domain_tables", path=f"own.{suffix}", domains={**OWN, "texts": {"max_df": 1.0}})

    assert card(folder)["spaces"] == ["books", "films"]
    assert card(folder)["counts"][1] == {"step": "other domains", "rows": 88, "users": 24, "items": 12}
    assert rows(folder, "context") == [(user, item) for user, item, *_ in FIRST]
    assert texts(folder)[0] == ["about", FIRST[0][1]]
    assert pq.read_table(folder / "period_000.parquet")["time"][0].as_py() == 1_577_836_800


def test_a_table_needs_neither_texts_nor_times(tmp_path: Path):
    pq.write_table(pa.Table.from_pylist(own_rows()).select(["who", "what", "where", "stars"]), tmp_path / "own.parquet")
    columns = {**OWN["columns"], "text": None, "timestamp": None}  # type: ignore[dict-item]

    folder = made(tmp_path, "domain_tables", path="own.parquet", domains={**OWN, "columns": columns, "texts": None})

    assert card(folder)["columns"] == ["user", "item", "rating", "part"]


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ({"columns": {"text": None}}, "data.domains.columns.text is null, but data.domains.texts is not"),
        ({"columns": {"item": "thing"}}, r"no column 'thing' \(data.domains.columns.item\); it has who, what, where"),
        ({"target_name": "books"}, "source_name and target_name are both books"),
        ({"columns": {"rating": "said"}}, "row 1: rating is missing or of the wrong type"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, domains: dict[str, Any], message: str):
    pq.write_table(pa.Table.from_pylist(own_rows()), tmp_path / "own.parquet")
    columns = {**OWN["columns"], **domains.get("columns", {})}  # type: ignore[dict-item]

    with pytest.raises((DataError, InstantiationException), match=message):
        made(tmp_path, "domain_tables", path="own.parquet", domains={**OWN, **domains, "columns": columns})


# over time ------------------------------------------------------------------------------------------------------------


def timed(tmp: Path, first: list[Any], second: list[Any], periods: int) -> Path:
    write(tmp / "raw/source.json.gz", first)
    write(tmp / "raw/target.json.gz", second)
    domains = {"core": {"min_item": 1, "min_user": 1}, "texts": {"max_df": 1.0, "size": 4}}
    source = load_source(CONF / "data/amazon_pair.yaml", path="raw", source="raw", domains=domains, split=None)
    cut = type(source)(**{**vars(source), "cut": ByCount(periods=periods)})
    return prepare(cut, data_root=tmp, cache=tmp / "cache")


EARLY = [review("ann", "a1", time=10, text="old book"), review("bob", "a1", time=40, text="new book")]
LATE = [
    review("cat", "b1", time=5, text="old film"),
    review("cat", "b2", time=20, text="old film"),
    review("ann", "b1", time=30, text="new film"),
    review("bob", "b3", time=50, text="new film"),
]


def test_a_period_is_a_slice_of_both_domains_its_source_rows_first(tmp_path: Path):
    folder = timed(tmp_path, EARLY, LATE, 2)

    assert card(folder)["spaces"] == ["books", "films"]
    assert [(period["rows"], period["space"]) for period in card(folder)["periods"]] == [(3, 1), (3, 1)]
    assert [rows(folder, "context", period) for period in (0, 1)] == [[("ann", "a1")], [("bob", "a1")]]
    assert rows(folder, "train", 0) == [("cat", "b1"), ("cat", "b2")]
    assert rows(folder, "train", 1) == [("ann", "b1"), ("bob", "b3")]
    assert pq.read_table(folder / "period_000.parquet")["part"].to_pylist() == [3, 0, 0]
    assert not rows(folder, "test", 1)


def test_words_over_time_are_those_of_the_first_period(tmp_path: Path):
    folder = timed(tmp_path, EARLY, LATE, 2)

    assert pq.read_table(folder / "words.parquet")["word"].to_pylist() == ["book", "film", "old"]
    assert [texts(folder, period) for period in (0, 1)] == [
        [["old", "book"], ["old", "film"], ["old", "film"]],
        [["book"], ["film"], ["film"]],
    ]


def test_a_period_without_target_rows_is_named(tmp_path: Path):
    later = [review("ann", f"late{n}", time=60 + n) for n in range(3)]

    with pytest.raises(DataError, match="period 2 has no rows beside its context; cut more coarsely"):
        timed(tmp_path, [*EARLY, *later], LATE, 3)


def test_the_source_is_the_first_space_even_where_the_first_period_lacks_it(tmp_path: Path):
    folder = timed(tmp_path, EARLY[1:], LATE, 2)

    assert card(folder)["spaces"] == ["books", "films"]
    assert [period["space"] for period in card(folder)["periods"]] == [1, 1]


def test_rows_without_times_cannot_be_cut(tmp_path: Path):
    write_ratings(tmp_path / "douban")
    source = load_source(CONF / "data/douban.yaml", split=None)

    with pytest.raises(DataError, match=r"these rows have no times to cut by \(data.split=null\)"):
        prepare(
            type(source)(**{**vars(source), "cut": ByCount(periods=2)}), data_root=tmp_path, cache=tmp_path / "cache"
        )


def test_neither_a_split_nor_a_cut_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"data\.cut is not set"):
        prepared(tmp_path, FIRST, SECOND, split=None)
