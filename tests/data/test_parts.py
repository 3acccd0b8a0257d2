"""Periods that are parted into rows to learn from, to choose by and to test, with rows that are only given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.data.candidates import History, draw_candidates
from recretrain.data.questions import Arrivals, ColdRatings
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import DataError
from recretrain.testing.streams import open_stream, ratings, write_stream

SPACES = {"films": range(6), "ages": range(6, 10)}
#         user, item, part
ROWS = [
    [(0, 0, "train"), (1, 1, "train"), (0, 2, "valid"), (2, 3, "test")],  # about films
    [
        (0, 4, "context"),  # a film, given along
        (0, 6, "train"),
        (3, 9, "test"),
        (1, 7, "train"),
        (2, 8, "valid"),
        (0, 7, "test"),
    ],  # about ages
    [(1, 0, "test"), (0, 5, "train")],  # about films
]
FILMS, AGES = 0, 1


def parted(folder: Path, asks=None, rows=ROWS, *, spaces=SPACES, n_users=4, n_items=10) -> Stream:
    slices = [([user for user, _, _ in period], [item for _, item, _ in period]) for period in rows]
    parts = [[PARTS.index(part) for _, _, part in period] for period in rows]
    write_stream(folder, slices, n_users=n_users, n_items=n_items, parts=parts, spaces=spaces)
    return Stream(folder, asks or arrivals())


def arrivals(**changes) -> Arrivals:
    options = {
        "candidates": None,
        "catalogue": "full",
        "history": None,
        "history_space": None,
        "had": "left_out",
        "seed": 0,
        "draws": "stored",
    }
    return Arrivals(**{**options, **changes})


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return parted(tmp_path / "s")


@pytest.mark.parametrize(
    ("part", "items", "positions"),
    [
        ("train", [6, 7], [0, 2]),
        ("valid", [8], [3]),
        ("test", [9, 7], [1, 4]),
        (None, [6, 9, 7, 8, 7], [0, 1, 2, 3, 4]),
    ],
)
def test_a_part_is_some_of_the_rows_at_their_positions(stream, part, items, positions):
    rows = stream.interactions(1)

    assert stream.interactions(1, part).item.tolist() == items
    assert torch.arange(len(rows))[stream.positions(1, part)].tolist() == positions
    assert rows.rows(stream.positions(1, part)).item.tolist() == items


def test_what_is_only_given_is_a_part_of_its_own(stream):
    assert stream.interactions(1, "context").item.tolist() == [4]
    assert stream.parts(1).tolist() == [0, 2, 0, 1, 2]
    assert "part" not in stream.interactions(1).other


def test_a_period_that_is_not_parted_is_learned_and_asked_whole(tmp_path):
    folder = write_stream(tmp_path / "s", [([0, 1], [0, 1]), ([1], [0])], n_users=2, n_items=2)
    stream = Stream(folder, arrivals())

    assert not stream.has_parts(0)
    for part, items in ((None, [0, 1]), ("train", [0, 1]), ("valid", []), ("test", []), ("context", [])):
        assert stream.interactions(0, part).item.tolist() == items
        assert torch.arange(2)[stream.positions(0, part)].tolist() == items
    assert stream[0].valid is None
    assert stream[0].questions.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("period", "space", "users", "items"),
    [
        (0, FILMS, [], []),
        (1, FILMS, [0, 1, 0, 0], [0, 1, 2, 4]),  # not film 3, which period 0 tests; film 4 is given for period 1
        (1, AGES, [], []),
        (2, FILMS, [0, 1, 0, 0], [0, 1, 2, 4]),
        (2, AGES, [0, 1, 2], [6, 7, 8]),  # not ages 9 and 7 of users 3 and 0, which period 1 tests
    ],
)
def test_the_past_of_a_period_is_of_a_space_and_never_of_earlier_tests(stream, period, space, users, items):
    rows = stream.before(period, space)

    assert (rows.user.tolist(), rows.item.tolist()) == (users, items)


def test_the_past_may_leave_out_what_is_only_given(stream):
    assert stream.before(1, FILMS, context=False).item.tolist() == [0, 1, 2]
    assert stream.before(2, FILMS, context=False).item.tolist() == [0, 1, 2]


def test_known_items_are_those_of_the_periods_space(stream):
    assert [stream.space(period) for period in range(3)] == [FILMS, AGES, FILMS]
    assert stream.known_items(0).tolist() == [0, 1, 2, 3]
    assert stream.known_items(1).tolist() == [6, 7, 8, 9]
    assert stream.known_items(2).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_space_that_is_not_there_is_named(stream):
    assert stream.space_named("ages") == AGES
    with pytest.raises(DataError, match=r"tiny has no items of the space 'books'; it has films, ages"):
        stream.space_named("books")


def test_a_period_gives_its_parts_and_reports_what_was_looked_at(stream):
    read = {}
    period = stream[1].watched(read.__setitem__)
    assert read == {}

    assert period.train.item.tolist() == [6, 7]
    assert period.train.other["rating"].tolist() == ratings([0, 1], [6, 7])
    assert period.questions.labels.tolist() == [6, 7]
    assert read == {"1/rows": 2}
    assert period.valid.labels.tolist() == [8]
    assert read == {"1/rows": 2, "1/valid": 1}


def test_a_period_without_valid_rows_has_no_questions_to_choose_by(stream):
    assert stream[2].valid is None


@pytest.mark.parametrize(
    ("space", "history"),
    [
        ("films", [[2, 4], [-1, 1], [-1, -1], [-1, -1]]),  # the film of user 2 is in a test, user 3 has none
        (None, [[-1], [-1], [-1], [-1]]),  # nobody had an age before
    ],
)
def test_a_history_is_of_the_space_that_is_asked_for(tmp_path, space, history):
    rows = [ROWS[0], [*ROWS[1][:2], ROWS[1][3], ROWS[1][4], ROWS[1][2]]]  # users 0, 1, 2, 3
    stream = parted(tmp_path / "s", arrivals(history=2, history_space=space), rows)

    test = stream.questions(1)

    assert test.user.tolist() == [0, 1, 2, 3]
    assert test.history.tolist() == history


def test_questions_about_a_part_are_those_of_its_rows(tmp_path):
    stream = parted(tmp_path / "s", arrivals(history=9, history_space="films"))

    test = stream.questions(1, "test")

    assert (test.user.tolist(), test.labels.tolist()) == ([3, 0], [9, 7])
    assert test.catalogue.tolist() == [6, 7, 8, 9]
    assert test.history.tolist() == [[-1, -1, -1], [0, 2, 4]]
    assert test.groups["new_user"].tolist() == [True, False]
    assert test.groups["new_item"].tolist() == [True, True]


def test_every_rating_of_a_part_is_a_question_of_its_own(tmp_path):
    test = parted(tmp_path / "s", ColdRatings()).questions(1, "test")

    assert (test.user.tolist(), test.items.tolist()) == ([3, 0], [[9], [7]])
    assert test.labels.tolist() == [[rating] for rating in ratings([3, 0], [9, 7])]
    assert test.groups["new_user"].tolist() == [True, False]
    assert test.groups["new_item"].tolist() == [True, True]


def test_ratings_are_asked_of_data_that_have_them(tmp_path):
    import pyarrow.parquet as pq

    stream = parted(tmp_path / "s", ColdRatings())
    file = stream.folder / "period_001.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["rating"]), file)

    with pytest.raises(DataError, match="tiny has no ratings; these questions need data with a rating"):
        stream.questions(1)


# ------------------------------------------------------------------------------- candidates of a parted period

USERS, ITEMS, COUNT = 12, 80, 8


def drawn_rows(seed: int, *, train: int = 150, valid: int = 40, test: int = 90):
    """Users, items and parts of a period, in no order of parts; the same train and valid rows whatever the seed."""
    fixed, varied = np.random.default_rng(7), np.random.default_rng(seed)
    names = ["train"] * train + ["valid"] * valid
    rows = [(int(fixed.integers(USERS)), int(fixed.integers(40, ITEMS)), name) for name in names]
    tests = [(int(varied.integers(USERS)), int(varied.integers(40, ITEMS)), "test") for _ in range(test)]
    return tests[::2] + rows + tests[1::2]


def earlier(seed: int = 3):
    """Periods about the items 0..39 and 40..79: every item is met."""
    rng = np.random.default_rng(seed)
    return [[(int(rng.integers(USERS)), item, "train") for item in span] for span in (range(40), range(40, 80))]


def of_part(folder: Path, part: str, rows) -> torch.Tensor:
    spaces = {"films": range(40), "ages": range(40, ITEMS)}
    asks = arrivals(candidates=COUNT, catalogue="sampled")
    stream = parted(folder, asks, [*earlier(), rows], spaces=spaces, n_users=USERS, n_items=ITEMS)
    return stream.questions(2, part).candidates


@pytest.mark.parametrize("tests", [90, 7])
def test_what_is_offered_to_learn_from_does_not_depend_on_the_tests(tmp_path, tests):
    first, second = drawn_rows(1), drawn_rows(2, test=tests)

    for part in ("train", "valid"):
        here, other = of_part(tmp_path / part / "a", part, first), of_part(tmp_path / part / "b", part, second)
        assert torch.equal(here, other)
    assert of_part(tmp_path / "a", "test", first).shape == (90, COUNT)


def test_what_is_offered_to_learn_from_does_not_depend_on_what_is_chosen_by(tmp_path):
    rows = drawn_rows(1)
    other = [(user, 40 + item % 7, part) if part == "valid" else (user, item, part) for user, item, part in rows]

    assert torch.equal(of_part(tmp_path / "a", "train", rows), of_part(tmp_path / "b", "train", other))


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_candidates_are_of_the_periods_space_and_never_had_by_the_end_of_the_part(tmp_path, part):
    rows = drawn_rows(1)
    drawn = of_part(tmp_path / "s", part, rows)
    until = [row for row in rows if PARTS.index(row[2]) <= PARTS.index(part)]
    had = {user: {item for one, item, _ in [*earlier()[1], *until] if one == user} for user in range(USERS)}
    asked = [user for user, _, name in rows if name == part]

    assert len(drawn) == len(asked)
    for user, offered in zip(asked, drawn.tolist(), strict=True):
        assert len(set(offered)) == COUNT
        assert all(40 <= item < ITEMS for item in offered)
        assert not set(offered) & had[user]


def test_an_item_that_only_tests_have_is_not_offered_to_learn_from():
    users, items = np.array([0, 1, 2, 3, 4, 5]), np.array([0, 1, 2, 3, 4, 5])
    parts = np.array([PARTS.index(name) for name in ("test", "train", "valid", "train")])

    drawn = draw_candidates(History(users, items, 2, parts), 3, np.random.default_rng(0))

    assert set(drawn[1]) == {0, 1, 5}  # user 3 in train: items before, and those of train but its own
    assert set(drawn[3]) == {0, 1, 3}
    assert set(drawn[2]) <= {0, 1, 3, 5}  # valid: those of train too
    assert set(drawn[0]) <= {0, 1, 3, 4, 5}  # test: everything but its own


def test_a_test_question_is_not_ranked_against_what_its_user_learned_from(tmp_path):
    """In the whole catalogue: the earlier parts of the period count as had, its own part does not."""
    folder = write_stream(tmp_path / "s", [([0, 0, 0, 1], [0, 1, 2, 3])], n_users=2, n_items=4, parts=[[0, 1, 2, 2]])
    stream = open_stream(folder, candidates=None)

    seen = {part: stream.questions(0, part).seen for part in ("train", "valid", "test")}

    assert {part: seen[part].values.tolist() for part in seen} == {"train": [], "valid": [0], "test": [0, 1]}
