"""Test sets of every kind: some of their questions, what a method is shown of them, and several as one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from recretrain.data.interactions import Ragged
from recretrain.data.kinds import (
    Histories,
    Questions,
    Rankings,
    Ratings,
    Support,
    SupportedRatings,
    TestSet,
    joined,
    stacked,
)
from recretrain.errors import DataError

CPU = torch.device("cpu")

RANKINGS = Rankings(
    period=4,
    user=torch.tensor([10, 11, 12]),
    labels=torch.tensor([1, 2, 3]),
    candidates=torch.tensor([[4, 5], [6, 7], [8, 9]]),
    catalogue=torch.arange(10),
    seen=Ragged(torch.tensor([0, 2, 2, 3]), torch.tensor([4, 5, 6])),
    groups={"new_user": torch.tensor([True, False, False])},
)
HISTORIES = Histories(
    period=4,
    user=torch.tensor([10, 11, 12]),
    labels=torch.tensor([1, 2, 3]),
    catalogue=torch.arange(10),
    history=torch.tensor([[-1, 4], [5, 6], [-1, -1]]),
)
RATINGS = Ratings(
    period=4,
    user=torch.tensor([10, 11]),
    labels=torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
    items=torch.tensor([[5, 6], [7, 8]]),
)
SUPPORTED = SupportedRatings(
    period=4,
    user=torch.tensor([10, 11]),
    labels=torch.tensor([[1.0], [3.0]]),
    items=torch.tensor([[5], [7]]),
    support=Support(torch.tensor([[1, 2], [3, -1]]), torch.tensor([[4.0, 5.0], [2.0, 0.0]])),
    groups={"support 1-1": torch.tensor([False, True])},
)


def plain(value):
    """Tensors and what holds them as lists, to compare."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    if isinstance(value, Ragged):
        return [value.values[a:b].tolist() for a, b in zip(value.offsets, value.offsets[1:], strict=False)]
    if isinstance(value, Support):
        return [value.item.tolist(), value.rating.tolist()]
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    return value


def columns(test: TestSet | Questions) -> dict:
    return {name: plain(value) for name, value in vars(test).items() if value is not None}


def test_rankings_at_positions_keep_the_catalogue_whole():
    assert columns(RANKINGS.at(torch.tensor([2, 0]))) == {
        "period": 4,
        "user": [12, 10],
        "labels": [3, 1],
        "candidates": [[8, 9], [4, 5]],
        "catalogue": list(range(10)),
        "seen": [[6], [4, 5]],
        "groups": {"new_user": [False, True]},
    }


def test_histories_at_positions():
    found = HISTORIES.at(torch.tensor([1]))

    assert type(found) is Histories
    assert columns(found) == {
        "period": 4,
        "user": [11],
        "labels": [2],
        "catalogue": list(range(10)),
        "history": [[5, 6]],
        "groups": {},
    }


def test_ratings_at_positions():
    found = RATINGS.at(torch.tensor([1, 1]))

    assert columns(found) == {
        "period": 4,
        "user": [11, 11],
        "labels": [[3.0, 4.0], [3.0, 4.0]],
        "items": [[7, 8], [7, 8]],
        "groups": {},
    }


def test_supported_ratings_at_positions():
    assert columns(SUPPORTED.at(torch.tensor([1, 0]))) == {
        "period": 4,
        "user": [11, 10],
        "labels": [[3.0], [1.0]],
        "items": [[7], [5]],
        "support": [[[3, -1], [1, 2]], [[2.0, 0.0], [4.0, 5.0]]],
        "groups": {"support 1-1": [True, False]},
    }


def test_some_of_the_questions_leave_the_set_as_it_was():
    before = columns(SUPPORTED)

    SUPPORTED.at(torch.tensor([1])).support.item.fill_(9)

    assert columns(SUPPORTED) == before


@pytest.mark.parametrize(
    ("test", "own"),
    [
        (RANKINGS, {}),
        (HISTORIES, {"history": [[5, 6], [-1, -1]]}),
        (RATINGS, {}),
        (SUPPORTED, {"support": [[[3, -1]], [[2.0, 0.0]]]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_method_is_shown_everything_but_the_labels(test: TestSet, own: dict):
    rows = slice(1, 3)

    asked = test.asked(rows, CPU, candidates=torch.tensor([[7], [8]]))

    assert columns(asked) == {"user": test.user[rows].tolist(), "candidates": [[7], [8]], "period": 4, **own}


def test_a_catalogue_is_shown_in_place_of_candidates():
    asked = HISTORIES.asked(slice(0, 1), CPU, catalogue=HISTORIES.catalogue)

    assert asked.candidates is None
    assert asked.catalogue.tolist() == list(range(10))
    assert asked.history.tolist() == [[-1, 4]]


@pytest.mark.parametrize("test", [RANKINGS, HISTORIES, RATINGS, SUPPORTED], ids=lambda test: type(test).__name__)
def test_questions_go_to_the_device_with_all_that_is_given(test: TestSet):
    other = torch.device("meta")

    asked = test.asked(slice(0, 1), other)

    shown = [value for value in vars(asked).values() if isinstance(value, torch.Tensor)]
    shown += [asked.support.item, asked.support.rating] if asked.support is not None else []
    assert {tensor.device for tensor in shown} == {other}


def test_ratings_are_rows_to_learn_from():
    rows = RATINGS.rows()

    assert (rows.user.tolist(), rows.item.tolist()) == ([10, 10, 11, 11], [5, 6, 7, 8])
    assert rows.other["rating"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert RATINGS.given().item.tolist() == [5, 6, 7, 8]  # where nothing is given apart, all may be learned from


def test_supported_ratings_are_rows_too_those_given_first():
    rows, given, queries = SUPPORTED.rows(), SUPPORTED.given(), SUPPORTED.queries()

    assert (given.user.tolist(), given.item.tolist()) == ([10, 10, 11], [1, 2, 3])
    assert given.other["rating"].tolist() == [4.0, 5.0, 2.0]
    assert (queries.user.tolist(), queries.item.tolist()) == ([10, 11], [5, 7])
    assert queries.other["rating"].tolist() == [1.0, 3.0]
    assert (rows.user.tolist(), rows.item.tolist()) == ([10, 10, 11, 10, 11], [1, 2, 3, 5, 7])
    assert rows.other["rating"].tolist() == [4.0, 5.0, 2.0, 1.0, 3.0]


def test_joined_supports_are_filled_up_after_their_last_rating():
    longer = replace(
        SUPPORTED.at(torch.tensor([0])),
        period=5,
        support=Support(torch.tensor([[1, 2, 3]]), torch.tensor([[1.0, 2.0, 3.0]])),
        groups={"new": torch.tensor([True])},
    )

    assert columns(joined(6, [SUPPORTED, longer])) == {
        "period": 6,
        "user": [10, 11, 10],
        "labels": [[1.0], [3.0], [1.0]],
        "items": [[5], [7], [5]],
        "support": [[[1, 2, -1], [3, -1, -1], [1, 2, 3]], [[4.0, 5.0, 0.0], [2.0, 0.0, 0.0], [1.0, 2.0, 3.0]]],
        "groups": {"new": [False, False, True], "support 1-1": [False, True, False]},
    }


def test_joined_histories_are_filled_up_before_their_first_item():
    short = replace(HISTORIES, history=torch.tensor([[3], [-1], [2]]))

    found = joined(4, [short, HISTORIES]).history

    assert found.tolist() == [[-1, 3], [-1, -1], [-1, 2], [-1, 4], [5, 6], [-1, -1]]


def test_joined_rankings_lose_what_not_all_have():
    found = joined(7, [RANKINGS, replace(RANKINGS, candidates=None)])

    assert columns(found) == {
        "period": 7,
        "user": [10, 11, 12] * 2,
        "labels": [1, 2, 3] * 2,
        "groups": {"new_user": [True, False, False] * 2},
    }
    assert joined(7, [RANKINGS, RANKINGS]).candidates.tolist() == [[4, 5], [6, 7], [8, 9]] * 2


def test_questions_of_two_kinds_are_not_joined():
    with pytest.raises(DataError, match="questions of different kinds cannot stand in one test set"):
        joined(0, [RANKINGS, HISTORIES])


def test_stacked_sets_are_groups_of_their_own_and_keep_theirs():
    one = SUPPORTED.at(torch.tensor([1]))

    found = stacked(2, {"warm": SUPPORTED, "cold": one})

    assert found.period == 2
    assert found.user.tolist() == [10, 11, 11]
    assert {name: members.tolist() for name, members in found.groups.items()} == {
        "warm": [True, True, False],
        "cold": [False, False, True],
        "support 1-1": [False, True, True],
        "warm, support 1-1": [False, True, False],
        "cold, support 1-1": [False, False, True],
    }
