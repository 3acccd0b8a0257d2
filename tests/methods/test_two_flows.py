"""Batches of two flows, and when a fit of them ends."""

from __future__ import annotations

import pytest
import torch

from recretrain.backbones.catn import SOURCE, TARGET
from recretrain.methods.learners.two_flows import FlowBatches, FlowRows, StepStopping


def rows(*users: int) -> FlowRows:
    def nothing(places):
        raise AssertionError("not asked")

    return FlowRows(torch.tensor(users, dtype=torch.long), nothing)


def batches(source: FlowRows, target: FlowRows, size: int, *, by_user: bool = False) -> FlowBatches:
    draw = torch.Generator().manual_seed(0)
    return FlowBatches({SOURCE: source, TARGET: target}, size, by_user=by_user, generator=draw)


def test_a_step_on_the_source_then_one_on_the_target_until_all_ratings_were_had():
    epoch = batches(rows(*range(7)), rows(*range(3)), 4)

    steps = list(epoch)

    assert [flow for flow, _ in steps] == [SOURCE, TARGET, SOURCE, TARGET, SOURCE, TARGET]
    assert [len(places) for _, places in steps] == [3, 1, 3, 1, 1, 1]  # 4 x 7/10 rounded up, and what is left
    assert len(epoch) == len(steps)
    assert epoch.steps == 3
    for flow, count in ((SOURCE, 7), (TARGET, 3)):
        assert sorted(torch.cat([places for of, places in steps if of == flow]).tolist()) == list(range(count))


def test_the_smaller_flow_has_a_rating_a_batch_and_every_epoch_another_order():
    epoch = batches(rows(*range(1000)), rows(0), 8)
    first, second = list(epoch), list(epoch)

    assert [len(places) for flow, places in first if flow == TARGET] == [1]
    assert not torch.equal(first[0][1], second[0][1])


def test_by_user_neighbours_are_of_one_user():
    source = rows(3, 1, 2, 3, 1, 2, 3, 1, 2)

    order = torch.cat([places for flow, places in batches(source, rows(0), 4, by_user=True) if flow == SOURCE])

    users = source.user[order]
    assert len(torch.unique_consecutive(users)) == 3
    assert sorted(order.tolist()) == list(range(9))


@pytest.mark.parametrize(
    ("steps", "patience", "least", "epochs"),
    [(100, 4, 6, 200), (20, 10, 30, 200), (1, 200, 600, 600)],  # T14: one step an epoch is not 4 steps of patience
)
def test_patience_is_counted_in_steps_where_epochs_are_short(steps, patience, least, epochs):
    stopping = StepStopping(epochs=200, patience=4, patience_steps=200, least_steps=600, decimals=4)

    found = stopping.over(steps)

    assert (found.patience, found.least, found.epochs) == (patience, least, epochs)


def test_errors_are_rounded_before_they_are_compared():
    stopping = StepStopping(epochs=1, patience=1, patience_steps=0, least_steps=0, decimals=4)

    assert stopping.rounded(0.71234567) == 0.7123
