"""Columns of rows, and rows of unequal length."""

import pytest
import torch

from recretrain.data.interactions import Interactions, Ragged, concatenate, padded

# rows: [5, 6], [], [7, 8, 9]
ROWS = Ragged(torch.tensor([0, 2, 2, 5]), torch.tensor([5, 6, 7, 8, 9]))


def rows_of(ragged: Ragged) -> list[list[int]]:
    return [ragged.values[a:b].tolist() for a, b in zip(ragged.offsets, ragged.offsets[1:], strict=False)]


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        ([2, 0], [[7, 8, 9], [5, 6]]),
        ([0, 0, 1], [[5, 6], [5, 6], []]),
        ([1], [[]]),
        ([], []),
    ],
)
def test_rows_at_positions_come_in_their_order(index, rows):
    found = ROWS.at(torch.tensor(index, dtype=torch.long))

    assert rows_of(found) == rows
    assert len(found) == len(rows)


def test_a_stretch_of_rows_begins_at_zero():
    found = ROWS.rows(1, 3)

    assert rows_of(found) == [[], [7, 8, 9]]
    assert found.offsets.tolist() == [0, 0, 3]
    assert found.row_of_value().tolist() == [1, 1, 1]
    assert ROWS.row_of_value().tolist() == [0, 0, 2, 2, 2]


def test_narrow_matrices_are_filled_up_ids_with_minus_one_and_numbers_with_zero():
    ids = padded([torch.tensor([[1, 2, 3]]), torch.tensor([[4], [5]])])
    numbers = padded([torch.tensor([[0.5]]), torch.tensor([[1.0, 2.0]])])

    assert ids.tolist() == [[1, 2, 3], [4, -1, -1], [5, -1, -1]]
    assert ids.dtype == torch.int64
    assert numbers.tolist() == [[0.5, 0.0], [1.0, 2.0]]


def test_joined_rows_keep_the_columns_that_all_have():
    first = Interactions(
        torch.tensor([0]), torch.tensor([1]), {"rating": torch.tensor([5.0]), "time": torch.tensor([9])}
    )
    second = Interactions(torch.tensor([2, 3]), torch.tensor([4, 5]), {"rating": torch.tensor([1.0, 2.0])})

    both = concatenate([first, second])

    assert (both.user.tolist(), both.item.tolist()) == ([0, 2, 3], [1, 4, 5])
    assert {name: column.tolist() for name, column in both.other.items()} == {"rating": [5.0, 1.0, 2.0]}
    with pytest.raises(ValueError, match="no periods to join"):
        concatenate([])
