import numpy as np
import pytest

from recretrain.data.candidates import History, draw_candidates
from recretrain.errors import DataError
from recretrain.testing.streams import open_stream, tasteful_slices, write_stream


def clicks(rows: int = 3000, users: int = 50, items: int = 400, seed: int = 0):
    rng = np.random.default_rng(seed)
    return rng.integers(users, size=rows), rng.integers(items, size=rows)


@pytest.mark.parametrize("count", [20, 120], ids=["by_rejection", "by_shuffling"])
def test_candidates_are_seen_before_never_had_and_never_repeated(count):
    users, items = clicks()
    start = 2500

    drawn = draw_candidates(History(users, items, start), count, np.random.default_rng(0))

    assert drawn.shape == (500, count)
    for row, offered in zip(range(start, 3000), drawn, strict=True):
        so_far, had = set(items[: row + 1]), set(items[: row + 1][users[: row + 1] == users[row]])
        assert len(set(offered)) == count
        assert set(offered) <= so_far
        assert not set(offered) & had


def test_an_item_that_appears_later_in_the_period_is_not_offered_before():
    users = np.array([0, 1, 2, 3, 4, 5, 6])
    items = np.array([0, 1, 2, 3, 4, 5, 6])

    drawn = draw_candidates(History(users, items, 4), 4, np.random.default_rng(0))

    assert set(drawn[0]) == {0, 1, 2, 3}
    assert set(drawn[2]) <= {0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize("count", [20, 120], ids=["by_rejection", "by_shuffling"])
def test_candidates_are_uniform_over_what_may_be_offered(count):
    users = np.concatenate([np.arange(200), np.full(4000, 200)])
    items = np.concatenate([np.arange(200), np.full(4000, 7)])

    drawn = draw_candidates(History(users, items, 200), count, np.random.default_rng(0))

    counts = np.bincount(drawn.ravel(), minlength=200)
    expected = 4000 * count / 199
    assert counts[7] == 0
    chi_square = ((np.delete(counts, 7) - expected) ** 2 / expected).sum()
    assert chi_square < 300  # 198 degrees of freedom: far beyond the 99.9 % point of 264


def test_too_few_items_names_the_user_and_the_cure():
    history = History(np.array([0, 0, 0, 1, 0]), np.array([0, 1, 2, 3, 0]), 4)

    with pytest.raises(
        DataError, match=r"user 0 has had 3 of the 4 items.*eval\.questions\.candidates=2.*lower it, or raise"
    ):
        draw_candidates(history, 2, np.random.default_rng(0))


def test_every_run_reads_the_same_candidates_and_another_seed_draws_others(tmp_path):
    folder = write_stream(tmp_path / "s", tasteful_slices(3, 100, n_users=20, n_items=80), n_users=20, n_items=80)

    first = open_stream(folder).questions(2)
    kept = (folder / "candidates-20-seed0" / "period_002.npy").stat().st_mtime_ns
    again = open_stream(folder).questions(2)

    assert (first.candidates == again.candidates).all()
    assert (folder / "candidates-20-seed0" / "period_002.npy").stat().st_mtime_ns == kept


def test_candidates_that_the_source_brings_are_used_and_too_few_are_refused(tmp_path):
    slices = tasteful_slices(2, 10, n_users=5, n_items=20)
    folder = write_stream(tmp_path / "s", slices, n_users=5, n_items=20)
    brought = np.arange(10 * 4, dtype=np.int32).reshape(10, 4) % 20
    np.save(folder / "candidates_001.npy", brought)

    assert (open_stream(folder, candidates=3).questions(1).candidates.numpy() == brought[:, :3]).all()
    with pytest.raises(DataError, match=r"set eval\.questions\.candidates=4 or less"):
        open_stream(folder, candidates=5).questions(1)
