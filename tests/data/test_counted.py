"""Candidates by counter keep the rule of stored ones, and are the same however they are looked at."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.data.candidates import History, HistoryPast
from recretrain.data.counted import Counted
from recretrain.data.kinds import joined
from recretrain.data.questions import Arrivals
from recretrain.data.stream import Stream
from recretrain.errors import UserError
from recretrain.testing.streams import tasteful_slices, write_stream

CPU = torch.device("cpu")


def asks(count: int = 20, seed: int = 0, had: str = "left_out") -> Arrivals:
    return Arrivals(
        candidates=count, catalogue="sampled", history=None, history_space=None, had=had, seed=seed, draws="counted"
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_stream(tmp_path / "s", tasteful_slices(4, 300, n_users=40, n_items=120), n_users=40, n_items=120)


def counted(users: np.ndarray, items: np.ndarray, start: int, count: int, **changes) -> Counted:
    past = HistoryPast(History(users, items, start, changes.pop("parts", None)), had_too=changes.pop("had_too", False))
    return Counted(past, changes.pop("seed", 0), 3, count, np.arange(len(users) - start), CPU)


@pytest.mark.parametrize("count", [1, 20, 60])
def test_candidates_are_seen_before_never_had_and_never_repeated(count: int):
    rng = np.random.default_rng(0)
    users, items = rng.integers(50, size=3000), rng.integers(400, size=3000)

    drawn = counted(users, items, 2500, count)[:].numpy()

    assert drawn.shape == (500, count)
    for row, offered in zip(range(2500, 3000), drawn, strict=True):
        so_far, had = set(items[: row + 1]), set(items[: row + 1][users[: row + 1] == users[row]])
        assert len(set(offered)) == count
        assert set(offered) <= so_far - had


@pytest.mark.parametrize(("size", "count"), [(5, 3), (7, 3), (33, 4), (200, 20), (200, 199)])
def test_each_column_is_uniform_over_what_may_be_offered(size: int, count: int):
    rows = 20_000
    items = np.concatenate([np.arange(size), np.full(rows, 2)])

    drawn = counted(np.arange(len(items)), items, size, count)[: 4000 if count > 20 else rows]

    for column in (0, count // 2, count - 1):
        counts = np.bincount(drawn[:, column].numpy(), minlength=size)
        expected = len(drawn) / (size - 1)
        assert counts[2] == 0
        chi_square = ((np.delete(counts, 2) - expected) ** 2 / expected).sum()
        freedom = size - 2
        assert abs(chi_square - freedom) < 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("size", [5, 7, 12])
def test_two_columns_are_independent_but_that_they_differ(size: int):
    rows = 40_000
    items = np.concatenate([np.arange(size), np.full(rows, 0)])

    drawn = counted(np.arange(len(items)), items, size, 2)[:].numpy() - 1

    counts = np.bincount(drawn[:, 0] * (size - 1) + drawn[:, 1], minlength=(size - 1) ** 2).reshape(size - 1, -1)
    pairs = counts[~np.eye(size - 1, dtype=bool)]
    expected, freedom = rows / len(pairs), len(pairs) - 1
    assert abs(((pairs - expected) ** 2 / expected).sum() - freedom) < 5 * np.sqrt(2 * freedom)


def test_they_are_the_same_in_any_pieces_and_one_by_one(folder: Path):
    drawn = Stream(folder, asks()).questions(3).candidates
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))

    whole = drawn[:]

    assert (whole.shape, whole.dtype) == ((300, 20), torch.int32)
    assert torch.equal(torch.cat([drawn[start : start + 7] for start in range(0, 300, 7)]), whole)
    assert torch.equal(drawn[order], whole[order])
    assert torch.equal(drawn.at(order)[3:9], whole[order][3:9])
    for column in (0, 11, 19):
        assert torch.equal(drawn[order, torch.full((300,), column)], whole[order, column])


def test_another_seed_period_or_row_has_others(folder: Path):
    first = Stream(folder, asks()).questions(3).candidates[:]
    other = Stream(folder, asks(seed=1)).questions(3).candidates[:]
    users, items = np.concatenate([np.arange(90), [7] * 40]), np.concatenate([np.arange(90), [5] * 40])
    drawn = counted(users, items, 90, 20)
    rows = drawn[:]
    later = Counted(drawn.past, drawn.seed, drawn.period + 1, 20, drawn.rows, CPU)[:]

    assert (first != other).float().mean() > 0.9
    assert (rows != later).float().mean() > 0.9
    assert len(np.unique(rows.numpy(), axis=0)) == 40


def test_a_look_at_the_users_own_rows_finds_what_a_look_at_all_rows_does(folder: Path):
    stream = Stream(folder, asks())
    drawn = stream.questions(2).candidates
    rows, before = stream.interactions(2), stream.before(2, 0)
    users, items = torch.cat([before.user, rows.user]).numpy(), torch.cat([before.item, rows.item]).numpy()
    past = HistoryPast(History(users, items, len(before)), had_too=False)

    assert type(drawn.past).__name__ == "PlainPast"
    assert torch.equal(Counted(past, 0, 2, 20, drawn.rows, CPU)[:], drawn[:])


def test_items_had_before_are_offered_on_request_but_not_the_rows_own(folder: Path):
    stream = Stream(folder, asks(count=100, had="offered"))
    asked = stream.questions(3)

    drawn = asked.candidates[:]

    assert not (drawn == asked.labels[:, None]).any()
    had = {int(user): set(items) for user, items in _had(stream).items()}
    assert any(set(row.tolist()) & had[int(user)] for row, user in zip(drawn, asked.user, strict=True))


def _had(stream: Stream) -> dict[int, set[int]]:
    before = stream.before(3, 0)
    return {user: set(before.item[before.user == user].tolist()) for user in range(stream.n_users)}


def test_those_of_rows_to_learn_from_do_not_depend_on_the_tests():
    users = np.array([*range(60), 1, 2, 3, 4, 5, 6])
    items = np.array([*range(60), 7, 8, 9, 10, 11, 12])
    parts = np.array([0, 2, 0, 2, 0, 1])
    others = items.copy()
    others[[61, 63]] = [40, 41]

    one, two = (counted(users, of, 60, 20, parts=parts)[:] for of in (items, others))
    fewer = counted(users[[*range(61), 62, 64]], items[[*range(61), 62, 64]], 60, 20, parts=parts[[0, 2, 4]])[:]

    learned = torch.tensor([0, 2, 4])
    assert torch.equal(one[learned], two[learned])
    assert torch.equal(one[learned], fewer)


def test_too_few_items_name_the_user_when_asked_and_before():
    drawn = counted(np.array([0, 0, 0, 1, 0]), np.array([0, 1, 2, 3, 0]), 4, 2)

    for look in (lambda: drawn[:], drawn.check, lambda: drawn[torch.tensor([0]), torch.tensor([0])]):
        with pytest.raises(UserError, match=r"has had 3 of the 4 items.*eval\.questions\.candidates=2"):
            look()


def test_nothing_is_stored_and_what_the_source_brings_is_used(folder: Path):
    asked = Stream(folder, asks()).questions(1)
    assert isinstance(asked.candidates, Counted)
    assert not list(folder.glob("candidates*"))

    brought = np.arange(300 * 20, dtype=np.int32).reshape(300, 20) % 120
    np.save(folder / "candidates_001.npy", brought)

    assert np.array_equal(Stream(folder, asks()).questions(1).candidates.numpy(), brought)


def test_the_card_tells_them_from_stored_ones_and_sets_are_joined_with_theirs(folder: Path):
    stream = Stream(folder, asks())
    two = [stream.questions(period) for period in (2, 3)]

    assert asks().card() == {**Arrivals(**{**vars(asks()), "draws": "stored"}).card(), "draws": "counted"}
    assert torch.equal(joined(3, two).candidates, torch.cat([test.candidates[:] for test in two]))
