"""Questions about users who are cold in the target domain, from a hand-made stream of two domains."""

from __future__ import annotations

from pathlib import Path

import pytest

from recretrain.data.cold_users import ColdUsers
from recretrain.data.kinds import ColdUserRatings
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import DataError
from recretrain.testing.streams import write_stream

# items 0, 1 are of the source, 2, 3 of the target; user 3 is never in the source
SLICES = [([0, 1, 2, 0], [0, 1, 0, 2]), ([1, 3, 0, 1], [0, 2, 3, 2]), ([2, 1, 2], [2, 3, 3])]
SPACES = {"books": [0, 1], "films": [2, 3]}


def stream(folder: Path) -> Stream:
    parts = [[PARTS.index("context" if item < 2 else "train") for item in items] for _, items in SLICES]
    return Stream(write_stream(folder, SLICES, n_users=4, n_items=4, parts=parts, spaces=SPACES), ColdUsers())


def test_users_who_come_from_the_other_domain_are_asked(tmp_path: Path) -> None:
    asked = [stream(tmp_path / "s").questions(period) for period in range(3)]

    assert [type(test) for test in asked] == [ColdUserRatings] * 3
    # period 1: user 1 was in the source before and comes to the target; user 3 has no source, user 0 is no new one
    assert [test.user.tolist() for test in asked] == [[], [1], [2, 2]]
    assert [test.items.flatten().tolist() for test in asked] == [[], [2], [2, 3]]
    assert asked[2].labels.shape == (2, 1)


def test_the_users_of_a_part_are_asked_as_they_were_parted(tmp_path: Path) -> None:
    assert stream(tmp_path / "s").questions(1, "train").user.tolist() == [3, 0, 1]
    assert stream(tmp_path / "s")[1].context.user.tolist() == [1]


def test_data_of_one_domain_are_refused(tmp_path: Path) -> None:
    alone = Stream(write_stream(tmp_path / "s", SLICES, n_users=4, n_items=4), ColdUsers())

    with pytest.raises(DataError, match=r"tiny has one domain alone; eval=cold_users needs two"):
        alone.questions(1)
