"""Users as questions: who is asked, what is given, and that no query precedes its support."""

import pytest
import torch

from recretrain.data.kinds import SupportedRatings
from recretrain.data.questions import Episodes
from recretrain.data.schedule import OwnTests
from recretrain.data.stream import Stream
from recretrain.errors import ConfigError, DataError
from recretrain.testing.streams import ratings, write_stream

# user 0 rates five items, user 1 three, user 2 four, user 3 (from period 1 on) four; user 0 comes again in period 1
SLICES = [
    ([0, 1, 0, 2, 0, 1, 0, 2, 0, 1, 2, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ([3, 0, 3, 0, 3, 0, 3, 0], [0, 1, 2, 3, 4, 5, 6, 7]),
]
OPTIONS = {"shortest": 4, "longest": 5, "queries": 2, "split": "in_time", "users": "all", "supports": (2, 3), "seed": 0}


def stream(folder, **changes) -> Stream:
    return Stream(write_stream(folder / "s", SLICES, n_users=4, n_items=12), Episodes(**{**OPTIONS, **changes}))


def test_in_time_the_last_ratings_are_asked_and_the_others_given(tmp_path):
    test = stream(tmp_path).questions(0)

    assert test.user.tolist() == [0, 2]  # user 1 has too few ratings
    assert isinstance(test, SupportedRatings)
    assert test.items.tolist() == [[6, 8], [10, 11]]
    assert test.labels.tolist() == [ratings([0, 0], [6, 8]), ratings([2, 2], [10, 11])]
    assert test.support.item.tolist() == [[0, 2, 4], [3, 7, -1]]
    assert test.support.rating.tolist() == [ratings([0, 0, 0], [0, 2, 4]), [*ratings([2, 2], [3, 7]), 0]]


def test_lengths_of_support_are_groups(tmp_path):
    groups = stream(tmp_path).questions(0).groups

    assert {name: members.tolist() for name, members in groups.items()} == {
        "support 2-2": [False, True],
        "support 3-3": [True, False],
    }


def test_too_many_ratings_leave_a_user_out(tmp_path):
    assert stream(tmp_path, longest=4).questions(0).user.tolist() == [2]


def test_new_users_are_those_whose_first_rating_is_in_the_period(tmp_path):
    assert stream(tmp_path).questions(1).user.tolist() == [0, 3]
    assert stream(tmp_path / "new", users="new").questions(1).user.tolist() == [3]


def test_a_random_split_is_the_seed_s_and_loses_no_rating(tmp_path):
    first = stream(tmp_path, split="random").questions(0)
    again = stream(tmp_path / "again", split="random").questions(0)
    other = stream(tmp_path / "other", split="random", seed=1).questions(0)

    assert torch.equal(first.items, again.items)
    assert not torch.equal(first.items, other.items)
    for test in (first, other):
        rows = torch.cat([test.items, test.support.item], 1)[0]
        assert sorted(rows.tolist()) == [0, 2, 4, 6, 8]


def test_a_period_without_such_users_names_the_cure(tmp_path):
    with pytest.raises(
        DataError, match=r"period 0 of tiny has no user with 9 to 9 ratings; lower eval\.questions\.shortest"
    ):
        stream(tmp_path, shortest=9, longest=9).questions(0)


def test_states_are_one_test_set_with_a_group_each(tmp_path):
    schedule = OwnTests(learned=0)
    (make,) = schedule.tasks(stream(tmp_path), lambda what, rows: None)

    (test,) = make().tests().values()

    assert test.user.tolist() == [0, 2, 0, 3]
    assert test.groups["0"].tolist() == [True, True, False, False]
    assert test.groups["1"].tolist() == [False, False, True, True]
    assert test.groups["0, support 3-3"].tolist() == [True, False, False, False]
    assert test.support.item.tolist() == [[0, 2, 4], [3, 7, -1], [1, 3, -1], [0, 2, -1]]
    assert make().period.index == 0
    assert schedule.roles(stream(tmp_path / "roles")) == {"choosing": [], "test": [0]}


def test_a_state_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"schedule\.learned=2 but tiny has states 0\.\.1"):
        OwnTests(learned=2).tasks(stream(tmp_path), lambda what, rows: None)


@pytest.mark.parametrize("changes", [{"queries": 4}, {"longest": 3}])
def test_a_user_without_a_support_is_no_question(changes):
    with pytest.raises(ConfigError, match=r"eval\.questions\.queries=\d, shortest=4, longest=\d: they must rise"):
        Episodes(**{**OPTIONS, **changes})
