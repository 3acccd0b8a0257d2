"""Questions about downstream tasks: the user's source items, his label, and other labels to rank it against."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recretrain.data.downstream import Downstream
from recretrain.data.kinds import Histories
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import DataError
from recretrain.testing.streams import write_stream

SPACES = {"films": range(6), "ages": range(6, 10), "nothing": [10]}
#         user, item, part
SOURCE = [
    (0, 0, "train"),
    (1, 3, "train"),
    (0, 2, "train"),
    (0, 1, "valid"),
    (2, 4, "test"),
    (2, 5, "train"),
    (1, 5, "valid"),
]
AGES = [(3, 2, "context"), (3, 4, "context"), (0, 6, "train"), (3, 9, "test"), (1, 7, "valid"), (2, 8, "test")]
PAD = -1


def opened(folder: Path, rows, *, n_items: int = 11, parted: bool = True, **changes) -> Stream:
    slices = [([user for user, _, _ in period], [item for _, item, _ in period]) for period in rows]
    parts = [[PARTS.index(part) for _, _, part in period] for period in rows]
    write_stream(
        folder,
        slices,
        n_users=4,
        n_items=n_items,
        parts=parts if parted else None,
        spaces=SPACES if parted else None,
    )
    return Stream(folder, Downstream(**{"candidates": 99, "history": 3, "seed": 0, **changes}))


@pytest.fixture
def stream(tmp_path: Path) -> Stream:
    return opened(tmp_path / "s", [SOURCE, AGES])


@pytest.mark.parametrize(
    ("part", "users", "labels", "history"),
    [
        ("train", [0], [6], [[0, 2, 1]]),  # the source's choosing rows come last, its tests are nobody's history
        ("valid", [1], [7], [[3, 5]]),
        ("test", [3, 2], [9, 8], [[2, 4], [PAD, 5]]),  # user 3 by the rows that the task gives
        (None, [0, 3, 1, 2], [6, 9, 7, 8], [[0, 2, 1], [PAD, 2, 4], [PAD, 3, 5], [PAD, PAD, 5]]),
    ],
)
def test_a_label_is_asked_of_a_user_with_his_last_items_in_the_source(stream, part, users, labels, history):
    test = stream.questions(1, part)

    assert type(test) is Histories
    assert (test.user.tolist(), test.labels.tolist()) == (users, labels)
    assert test.history.tolist() == history
    assert test.catalogue.tolist() == [6, 7, 8, 9]
    assert (test.seen, test.groups) == (None, {})


def test_a_history_is_cut_to_its_last_items(tmp_path):
    assert opened(tmp_path / "s", [SOURCE, AGES], history=2).questions(1, "train").history.tolist() == [[2, 1]]


def test_the_choosing_rows_of_the_source_ask_for_the_last_item(stream):
    test = stream.questions(0, "valid")

    assert (test.user.tolist(), test.labels.tolist()) == ([0, 1], [1, 5])
    assert test.history.tolist() == [[0, 2], [PAD, 3]]
    assert test.catalogue.tolist() == [0, 1, 2, 3, 4, 5]


def test_other_labels_are_drawn_uniformly_and_never_the_right_one(tmp_path):
    drawn = opened(tmp_path / "s", [SOURCE, AGES], candidates=30_000).questions(1, "test").candidates

    assert (drawn.shape, drawn.dtype) == ((2, 30_000), torch.int32)
    for label, offered in zip([9, 8], drawn, strict=True):
        counts = torch.bincount(offered, minlength=11)
        assert counts[label] == 0
        assert counts[:6].sum() == counts[10] == 0
        others = counts[[item for item in (6, 7, 8, 9) if item != label]]
        assert ((others - 10_000).abs() < 400).all()  # five standard deviations of 82


def test_the_drawn_labels_are_those_of_the_seed_the_period_and_the_part(tmp_path):
    rows = [SOURCE, AGES, [(0, 6, "train"), (3, 9, "test"), (2, 8, "test")]]
    first, again = (opened(tmp_path / name, rows) for name in "ab")
    other = opened(tmp_path / "c", rows, seed=1)

    def drawn(stream, period=1, part="test"):
        return stream.questions(period, part).candidates

    assert torch.equal(drawn(first), drawn(again))
    for differing in (drawn(other), drawn(first, 2), drawn(first, 1, None)[[1, 3]]):
        assert not torch.equal(drawn(first), differing)


def test_a_task_of_one_label_is_refused(tmp_path):
    stream = opened(tmp_path / "s", [SOURCE, [(0, 10, "train"), (1, 10, "test")]])

    with pytest.raises(DataError, match="period 1 of tiny has one label alone; a task needs two or more"):
        stream.questions(1, "train")


def test_periods_of_one_catalogue_are_asked_with_all_that_came_before(tmp_path):
    rows = [[(0, 0, "train"), (1, 1, "train"), (0, 2, "train")], [(1, 3, "train"), (0, 1, "train")]]
    stream = opened(tmp_path / "s", rows, n_items=5, parted=False)

    test = stream.questions(1)

    assert (test.user.tolist(), test.labels.tolist()) == ([1, 0], [3, 1])
    assert test.history.tolist() == [[PAD, 1], [0, 2]]
    assert test.catalogue.tolist() == [0, 1, 2, 3]  # item 4 is not known yet
    assert stream.questions(0, "train").history.tolist() == [[PAD]] * 3


def test_the_card_tells_what_makes_two_sets_comparable():
    card = Downstream(candidates=9, history=50, seed=3).card()

    assert card == {
        "kind": "labels",
        "text": "1 + 9 negatives and all labels",
        "unit": "questions (labels)",
        "candidates": 9,
        "seed": 3,
    }
