from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.data.by_user import items_before, rows_by_user
from recretrain.data.questions import latest, seen_before
from recretrain.data.repeats import again
from recretrain.data.stream import Stream
from recretrain.testing.streams import open_stream, tasteful_slices, write_stream


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_stream(tmp_path / "s", tasteful_slices(5, 200, n_users=30, n_items=40), n_users=30, n_items=40)


def test_what_a_user_had_is_what_a_look_at_all_rows_finds(folder: Path):
    stream = open_stream(folder)
    by_user = rows_by_user(stream)
    assert by_user is not None
    user = torch.cat([torch.arange(30), torch.tensor([3, 3])])

    for period in range(5):
        found, wanted = items_before(by_user, user, period), seen_before(user, stream.before(period, 0))

        assert torch.equal(found.offsets, wanted.offsets)
        assert torch.equal(found.values, wanted.values)
    assert len(found.values) > 700


def test_up_to_a_row_its_user_has_had_it_too(folder: Path):
    stream = open_stream(folder)
    by_user = rows_by_user(stream)
    assert by_user is not None
    rows = stream.interactions(1)
    number = by_user.start(1) + np.arange(len(rows))

    place, item = by_user.before(rows.user.numpy(), number + 1)

    before = stream.before(2, 0)
    for row in range(0, len(rows), 17):
        until = before.rows(slice(0, by_user.start(1) + row + 1))
        assert item[place == row].tolist() == until.item[until.user == rows.user[row]].tolist()


def test_questions_read_their_own_period_alone_once_the_rows_are_sorted(folder: Path, monkeypatch: pytest.MonkeyPatch):
    wanted = open_stream(folder, candidates=None, history=3).questions(4)
    read = []
    real = Stream._table
    monkeypatch.setattr(Stream, "_table", lambda self, period, *columns: read.append(period) or real(self, period))
    (folder / "again" / "period_004.npy").unlink()

    found = open_stream(folder, candidates=None, history=3).questions(4)

    assert set(read) == {4}
    assert torch.equal(found.history, wanted.history)
    assert torch.equal(found.history, latest(open_stream(folder).before(4, 0), found.user, 3))
    assert torch.equal(found.seen.values, wanted.seen.values)


def test_pairs_that_come_again_are_those_of_all_earlier_rows(folder: Path):
    stream = open_stream(folder)
    pairs = [
        set(zip(rows.user.tolist(), rows.item.tolist(), strict=True)) for rows in map(stream.interactions, range(5))
    ]
    asked = stream.interactions(3)

    found = again(stream, 3, None)

    wanted = [pair in set.union(*pairs[:3]) for pair in zip(asked.user.tolist(), asked.item.tolist(), strict=True)]
    assert found is not None
    assert found.tolist() == wanted
    assert 10 < sum(wanted) < 190


def test_rows_by_user_that_are_damaged_are_sorted_anew(folder: Path):
    stream = open_stream(folder)
    wanted = items_before(rows_by_user(stream), torch.arange(30), 4).values
    file = folder / "by_user" / "rows.npy"
    file.write_bytes(file.read_bytes()[:-8])

    assert torch.equal(items_before(rows_by_user(stream), torch.arange(30), 4).values, wanted)
