"""MovieLens with its facts and MeLU's states: layouts by hand, and the counts of the released files."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose
from recretrain.configuration.signatures import check
from recretrain.data.fields import Fields, read_fields
from recretrain.data.questions import Episodes
from recretrain.data.stream import Stream
from recretrain.errors import DataError, Mistake
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare
from recretrain.preparation.sources.movielens_facts import imdb

CONF = Path(__file__).parents[2] / "conf"
FILES = {
    "ratings.dat": "1::10::5::100\n1::20::4::\n2::10::3::90\n2::20::2::\n1::860::1::\n",
    "users.dat": "1::F::25::3::55117-1234\n2::M::18::7::02460\n",
    "movies.dat": "10::Heat (1995)::Action|Crime\n20::Shrek (1998)::Comedy\n860::Maybe (1994)::Comedy\n"
    "811::Bewegte Mann, Der (1994)::Comedy\n",
    "movies_extrainfos.dat": "10::Heat::1995::R::x::Action, Crime::Ann Lee, Bo Ek(co-director)::w::Al P, Val K::p::\r\n"
    "20::Shrek::1998::PG::x::N/A::N/A::w::N/A::p::u\r\n"
    "811::Der bewegte Mann::1994::R::x::Comedy::Bo Ek::w::Til S::p::u\r\n",
    "melu_new_users.txt": "2\n",
}  # user 2 and film 20 are new; film 860 is read as 811


def prepared(
    tmp: Path, name: str = "movielens", files: dict[str, str] = FILES, periods: int = 1, **changes: Any
) -> Path:
    for file, text in files.items():
        (tmp / file).write_text(text, encoding="latin-1" if file in ("movies.dat", "u.item") else "utf-8")
    source = load_source(CONF / f"data/{name}.yaml", path=str(tmp), **changes)
    return prepare(replace(source, cut=ByCount(periods=periods)), data_root=tmp, cache=tmp / "cache")


def rows(folder: Path, period: int) -> list[tuple[int, int, float]]:
    """User, item and rating, in raw ids."""
    table = pq.read_table(folder / f"period_{period:03d}.parquet").to_pydict()
    users, items = (pq.read_table(folder / f"{kind}.parquet")["key"].to_pylist() for kind in ("users", "items"))
    return [(users[u], items[i], r) for u, i, r in zip(table["user"], table["item"], table["rating"], strict=True)]


def facts(folder: Path) -> dict[str, tuple[int, list[list[int]]]]:
    """Size and values of every field."""
    fields: Fields = read_fields(folder)
    return {f.name: (f.size, f.values.tolist()) for f in [*fields.user, *fields.item]}


def changed(**texts: str | None) -> dict[str, str]:
    """The files with some of them other or away; `movies` names movies.dat."""
    given = {f"{name}.txt" if name == "melu_new_users" else f"{name}.dat": text for name, text in texts.items()}
    return {name: text for name, text in (FILES | given).items() if text is not None}


def test_a_rating_is_in_the_state_of_its_user_and_film(tmp_path: Path):
    folder = prepared(tmp_path)

    assert [rows(folder, state) for state in range(4)] == [
        [(1, 10, 5.0), (1, 811, 1.0)],
        [(2, 10, 3.0)],
        [(1, 20, 4.0)],
        [(2, 20, 2.0)],
    ]
    card = json.loads((folder / "stream.json").read_text())
    assert [p["name"] for p in card["periods"]] == ["warm", "user_cold", "item_cold", "user_and_item_cold"]
    assert card["columns"] == ["user", "item", "rating"]


def test_rows_of_a_state_stand_as_in_the_file(tmp_path: Path):
    many = "".join(f"{1 + n % 2}::{(10, 20)[n % 3 == 0]}::{1 + n % 5}::\n" for n in range(5000))

    folder = prepared(tmp_path, files=changed(ratings=many))

    assert [r for *_, r in rows(folder, 0)] == [1 + n % 5 for n in range(5000) if n % 2 == 0 and n % 3]


def test_fields_of_films_and_users_by_hand(tmp_path: Path):
    folder = prepared(tmp_path)  # items in order of appearance in the states: 10, 811, 20; users 1, 2

    assert facts(folder) == {
        "gender": (2, [[0], [1]]),
        "age": (2, [[0], [1]]),
        "occupation": (2, [[0], [1]]),
        "zip": (2, [[0], [1]]),
        "rate": (2, [[0], [0], [1]]),
        "genre": (4, [[0, 1], [2, -1], [3, -1]]),  # Action, Crime, Comedy, nan
        "director": (3, [[0, 1], [1, -1], [2, -1]]),  # the note "(co-director)" is not a part of the name
        "actor": (4, [[0, 1], [2, -1], [3, -1]]),
    }
    assert pq.read_table(folder / "titles.parquet")["title"].to_pylist() == [
        "Heat (1995)", "Bewegte Mann, Der (1994)", "Shrek (1998)"
    ]  # fmt: skip


def test_vocabularies_number_the_values_where_they_are_there(tmp_path: Path):
    vocabularies = {
        "m_rate.txt": "PG\r\nR\r\nG\r\n",
        "m_genre.txt": "nan\r\nComedy\r\nAction\r\nCrime\r\n",
        "m_actor.txt": "nan\r\nVal K\r\nAl P\r\nTil S\r\n",
        "m_zipcode.txt": "02460\r\n55117\r\n",
    }

    fields = facts(prepared(tmp_path, files=FILES | vocabularies))

    assert fields["rate"] == (3, [[1], [1], [0]])
    assert fields["genre"] == (4, [[2, 3], [1, -1], [0, -1]])
    assert fields["actor"] == (8030, [[2, 1], [3, -1], [0, -1]])  # data.actor_size, as released
    assert fields["zip"] == (2, [[1], [0]])  # the first five characters


def test_a_film_without_facts_has_unknown_ones(tmp_path: Path):
    folder = prepared(tmp_path, files=FILES | {"m_rate.txt": "R\r\nPG\r\n"}, films={"merge_ids": {860: 860}})

    assert [item for _, item, _ in rows(folder, 0)] == [10, 860]
    fields = facts(folder)
    assert fields["rate"] == (3, [[0], [2], [1]])  # film 860: one more than the vocabulary has
    assert fields["genre"] == (3, [[0, 1], [2, -1], [2, -1]])


def test_random_new_users_are_a_share_and_depend_on_the_seed_alone(tmp_path: Path):
    ratings = "".join(f"{user}::{film}::3::\n" for user in range(1, 101) for film in (10, 20))
    files = changed(ratings=ratings, users="".join(f"{n}::F::25::3::1\n" for n in range(1, 101)), melu_new_users=None)

    def new(seed: int) -> set[int]:
        folder = prepared(tmp_path, files=files, states={"new_users": "random", "new_users_seed": seed})
        return {user for user, *_ in rows(folder, 1)}

    (tmp_path / "melu_new_users.txt").unlink(missing_ok=True)
    first = new(0)

    assert len(first) == 20
    assert first == new(0)
    assert first != new(1)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (changed(ratings="1::10::5::1\n1::20::4\n"), r"ratings\.dat, line 2 \(1::20::4\): not four fields"),
        (changed(ratings="1::10::5::1\n1::10::x::2\n"), r"ratings\.dat, line 2 .*: rating is missing"),
        (changed(ratings="1::10::5::1\n1::77::5::2\n"), r"ratings\.dat, line 2 .*period is missing .*movies\.dat has"),
        (changed(movies="10::Heat::Action\n20::B (1998)::Comedy\n"), r"line 1 .*no year in it.*data\.states\.mis"),
        (changed(movies="10::Heat (1995)\n"), r"movies\.dat, line 1 \(10::Heat \(1995\)\): 2 fields separated by '::'"),
        (changed(users="one::F::25::3::5\n"), r"users\.dat, line 1 \(one\): the id is not a whole number"),
        (changed(movies_extrainfos="10::x\n"), r"movies_extrainfos\.dat, line 1 .*: 2 fields separated by '::', not 1"),
        (changed(melu_new_users="2\nx\n"), r"melu_new_users\.txt, line 2 \(x\): the id is not a whole number"),
        (changed(melu_new_users=None), r"melu_new_users\.txt is missing; .*data\.states\.new_users=random"),
        (changed(movies_extrainfos=None), r"movies_extrainfos\.dat is missing; .*data\.films\.facts=genres"),
        (changed(users=None), r"users\.dat is missing; get ml-1m again"),
        (changed(ratings="1::10::5::1\n2::20::4::1\n"), r"period user_cold has no interactions"),
    ],
)  # fmt: skip
def test_faults_are_named(tmp_path: Path, files: dict[str, str], message: str):
    with pytest.raises(DataError, match=message):
        prepared(tmp_path, files=files)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "data.films.release=ml-100k",
            r"data.films.facts=imdb are known for ml-1m, not for data.films.release=ml",
        ),
        ("data.states.new_users=all", "data.states.new_users='all' must be one of released, random"),
        (
            "data.states.new_user_share=1.0",
            "data.states.new_user_share=1.0 must be a number, between 0 and 1, both",
        ),
    ],
)
def test_options_that_do_not_fit_are_named(override: str, message: str):
    config, _ = compose(["data=movielens", override])

    def built() -> None:
        check(config, under=["data"])
        build(config.data, "data")

    with pytest.raises(Mistake) as error:
        built()

    assert message in str(error.value)


def test_films_without_a_year_may_be_existing_ones(tmp_path: Path):
    films = FILES["movies.dat"].replace("Heat (1995)", "Heat")

    folder = prepared(tmp_path, files=FILES | {"movies.dat": films}, states={"missing_year": "existing"})

    assert (1, 10, 5.0) in rows(folder, 0)


GENRES = "|".join("0" * 19)
ML_100K = {
    "u.data": "1\t10\t5\t100\n1\t20\t4\t101\n2\t10\t3\t90\n2\t20\t2\t91\n",
    "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
    "u.item": f"10|Café (1995)|01-Jan-1995||http://x|0|1|1|{'|'.join('0' * 16)}\n20|B (1997)|01-Jan-1997||http://x|{GENRES}\n",
}
ML_25M = {
    "ratings.csv": "userId,movieId,rating,timestamp\n" + ML_100K["u.data"].replace("\t", ","),
    "movies.csv": 'movieId,title,genres\n10,"Heat, The (1995)",Action|Crime\n20,B (1997),(no genres listed)\n',
}


def test_ml100k_has_genres_and_users(tmp_path: Path):
    folder = prepared(tmp_path, "movielens_genres", ML_100K, states={"new_user_share": 0.5})

    assert [len(rows(folder, state)) for state in range(4)] == [1, 1, 1, 1]
    assert facts(folder) == {
        "gender": (2, facts(folder)["gender"][1]),
        "age": (2, [[0], [1]]),
        "occupation": (2, [[0], [1]]),
        "zip": (2, [[0], [1]]),
        "genre": (3, [[0, 1], [2, -1]]),  # columns 1 and 2, then nan
    }
    assert pq.read_table(folder / "titles.parquet")["title"].to_pylist() == ["Café (1995)", "B (1997)"]


def test_ml25m_has_genres_alone(tmp_path: Path):
    folder = prepared(tmp_path, "movielens_genres", ML_25M, films={"release": "ml-25m"}, states={"new_user_share": 0.5})

    assert facts(folder) == {"genre": (3, [[0, 1], [2, -1]])}
    assert pq.read_table(folder / "titles.parquet")["title"].to_pylist() == ["Heat, The (1995)", "B (1997)"]


def test_a_line_of_films_in_csv_is_named(tmp_path: Path):
    films = "movieId,title,genres\n10,Heat, The (1995),Action\n"

    with pytest.raises(DataError, match=r"movies\.csv, line 2 \(10,Heat, The \(1995\),Action\): 4 fields, not 3"):
        prepared(tmp_path, "movielens_genres", ML_25M | {"movies.csv": films}, films={"release": "ml-25m"})


def test_genres_of_ml1m_need_no_facts_from_imdb(tmp_path: Path):
    files = changed(movies_extrainfos=None)

    folder = prepared(tmp_path, "movielens", files=files, films={"facts": "genres"})

    assert facts(folder)["genre"] == (3, [[0, 1], [2, -1], [2, -1]])


TIMED = "1::10::5::300\n1::20::4::100\n2::10::3::200\n"


def test_timed_rows_are_cut_by_the_schedule(tmp_path: Path):
    folder = prepared(tmp_path, "movielens_timed", changed(ratings=TIMED), periods=3)

    assert [rows(folder, period) for period in range(3)] == [[(1, 20, 4.0)], [(2, 10, 3.0)], [(1, 10, 5.0)]]
    assert "genre" in facts(folder)


def test_rows_without_a_time_are_refused_with_the_reason(tmp_path: Path):
    message = r"ratings\.dat, line 2 .*: time is missing .*\(so in 3 rows\); .*biased sample.*data=movielens"

    with pytest.raises(DataError, match=message):
        prepared(tmp_path, "movielens_timed")


def test_the_timed_set_differs_from_the_states_in_nothing_else():
    states, timed = (
        yaml.safe_load((CONF / f"data/{name}.yaml").read_text()) for name in ("movielens", "movielens_timed")
    )

    different = {key for key in states.keys() | timed.keys() if states.get(key) != timed.get(key)}
    assert different == {"defaults", "name", "about", "states"}


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real files, prepared."""
    root = Path(os.environ.get("RECRETRAIN_DATA", "nowhere"))
    if not (root / "ml-1m/movies_extrainfos.dat").exists():
        pytest.skip("RECRETRAIN_DATA holds no ml-1m with MeLU's facts")
    source = load_source(CONF / "data/movielens.yaml")
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=root, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def episodes() -> Callable[[Path], Stream]:
    node = yaml.safe_load((CONF / "eval/episodes.yaml").read_text())["questions"]
    options = {name: value for name, value in node.items() if name != "_target_"}
    return lambda folder: Stream(folder, Episodes(**options))


@pytest.mark.slow
def test_states_and_tasks_are_those_of_the_release(released: Path, episodes: Callable[[Path], Stream]):
    """The counts of MeLU's released state files, by its filter of 13 to 100 ratings."""
    stream = episodes(released)
    tests = [stream.questions(state) for state in range(4)]

    assert (stream.n_users, stream.n_items) == (6040, 3704)
    assert [p["rows"] for p in stream.card["periods"]] == [640_448, 163_702, 157_456, 38_603]
    assert [len(test) for test in tests] == [2653, 668, 2863, 723]
    assert tests[0].support is not None
    assert int((tests[0].support.item >= 0).sum()) == 95_281
    assert tests[0].labels.numel() == 26_530
    existing = torch.bincount(torch.cat([stream.interactions(state).item for state in (0, 1)]), minlength=3704) > 0
    assert int(existing.sum()) == 2964


@pytest.mark.slow
def test_fields_have_the_sizes_of_the_release(released: Path):
    fields = read_fields(released)

    assert {f.name: f.size for f in fields.item} == {"rate": 6, "genre": 25, "director": 2186, "actor": 8030}
    assert {f.name: f.size for f in fields.user} == {"gender": 2, "age": 7, "occupation": 21, "zip": 3402}
    assert max(int(f.values.max()) for f in fields.item if f.name == "actor") < 7978
    assert [tuple(f.values.shape) for f in fields.item] == [(3704, 1), (3704, 7), (3704, 12), (3704, 4)]


@pytest.mark.slow
def test_films_have_as_many_facts_as_in_the_release():
    file = Path(os.environ.get("RECRETRAIN_DATA", "nowhere")) / "ml-1m/movies_extrainfos.dat"
    if not file.exists():
        pytest.skip("RECRETRAIN_DATA holds no ml-1m with MeLU's facts")

    known = imdb(file)

    assert len(known) == 3881
    means = {
        name: sum(len(set(film[name])) for film in known.values()) / 3881 for name in ("genre", "director", "actor")
    }
    assert means == pytest.approx({"genre": 2.37, "director": 1.08, "actor": 3.97}, abs=0.005)
