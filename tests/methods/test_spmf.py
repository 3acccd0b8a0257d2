"""SPMF's reservoir and the shares by which it draws rows, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.methods.parts.reservoir import Reservoir
from recretrain.methods.spmf import rank_weights


def rows(start: int, n: int) -> Interactions:
    return Interactions(torch.arange(start, start + n), torch.arange(start, start + n) + 1000)


def numbers(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rows_are_drawn_the_more_often_the_worse_their_place():
    # places by score, the best first: 0.9 is 1st, 0.5 2nd, -1 3rd, -2 4th
    assert rank_weights(torch.tensor([0.5, -2.0, 0.9, -1.0])).tolist() == pytest.approx(
        [math.exp(2 / 4), math.exp(4 / 4), math.exp(1 / 4), math.exp(3 / 4)]
    )


def test_a_reservoir_starts_with_the_latest_rows_or_a_sample_in_order_of_time():
    latest, sample, short = Reservoir(3), Reservoir(3), Reservoir(9)

    latest.start(rows(0, 10), numbers(), latest=True)
    sample.start(rows(0, 10), numbers(), latest=False)
    short.start(rows(0, 4), numbers(), latest=False)

    assert latest.rows.user.tolist() == [7, 8, 9]
    assert sorted(sample.rows.user.tolist()) == sample.rows.user.tolist()
    assert len(set(sample.rows.user.tolist())) == 3
    assert short.rows.user.tolist() == [0, 1, 2, 3]
    assert (sample.rows.item - sample.rows.user).tolist() == [1000] * 3


def test_every_row_of_the_past_is_kept_equally_often():
    kept = torch.zeros(40)
    for seed in range(2000):
        pool = Reservoir(10)
        pool.start(rows(0, 20), numbers(seed), latest=False)
        pool.add(rows(20, 20), numbers(seed + 10_000))
        assert len(pool.rows) == 10
        kept[pool.rows.user] += 1

    assert kept[:20].mean().item() / 2000 == pytest.approx(0.25, abs=0.02)
    assert kept[20:].mean().item() / 2000 == pytest.approx(0.25, abs=0.02)
    assert (kept / 2000 - 0.25).abs().max() < 0.06  # six deviations of a share of 2000


def test_rows_that_no_slot_takes_are_counted_all_the_same():
    pool, other = Reservoir(5), Reservoir(5)
    pool.start(rows(0, 1000), numbers(), latest=True)

    pool.add(rows(1000, 10), numbers())
    other.load_state_dict(pool.state_dict())

    assert pool.state_dict()["seen"] == 1010
    assert other.rows.user.tolist() == pool.rows.user.tolist()
    other.add(rows(2000, 50), numbers(1))
    pool.add(rows(2000, 50), numbers(1))
    assert other.rows.user.tolist() == pool.rows.user.tolist()
