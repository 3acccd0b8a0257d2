"""Sampled soft-max: its loss by autograd, its gradients, and how items are drawn."""

import math

import pytest
import torch
from torch import nn

from recretrain.backbones.sampled_softmax import LogUniform, expected, in_batch, sampled_cross_entropy
from recretrain.backbones.softmax import cross_entropy

ITEMS, SIZE, ROWS = 40, 6, 25


def batch() -> tuple[torch.Tensor, nn.Parameter, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    features = torch.randn(ROWS, SIZE, generator=random).requires_grad_()
    table = nn.Parameter(torch.randn(ITEMS, SIZE, generator=random))
    return features, table, torch.randint(ITEMS, (ROWS,), generator=random)


def test_value_and_gradients_are_those_of_autograd() -> None:
    features, table, label = batch()
    sampler = LogUniform(torch.arange(ITEMS), ITEMS)
    drawn = sampler.draw(15, label, torch.Generator().manual_seed(1))
    assert bool(torch.isin(label, drawn.items).any())
    plain_features, plain_table = (value.detach().clone().requires_grad_() for value in (features, table))

    loss = sampled_cross_entropy(features, table, label, drawn)
    loss.backward()

    own = (plain_features * plain_table[label]).sum(1) - drawn.log_expected_label
    others = plain_features @ plain_table[drawn.items].T - drawn.log_expected
    others = others.masked_fill(label.unsqueeze(1) == drawn.items, -math.inf)
    plain = (torch.logsumexp(torch.cat([own.unsqueeze(1), others], 1), 1) - own).mean()
    plain.backward()
    torch.testing.assert_close(loss, plain)
    torch.testing.assert_close(features.grad, plain_features.grad)
    torch.testing.assert_close(torch.as_tensor(table.grad), plain_table.grad)


def test_with_all_items_it_is_the_full_soft_max() -> None:
    features, table, label = batch()
    drawn = LogUniform(torch.arange(ITEMS), ITEMS).draw(ITEMS, label, torch.Generator())

    torch.testing.assert_close(
        sampled_cross_entropy(features, table, label, drawn), cross_entropy(features, table, label, ITEMS)
    )


def test_a_frozen_table_gets_no_gradient() -> None:
    features, table, label = batch()
    table.requires_grad_(False)

    sampled_cross_entropy(features, table, label, in_batch(label, torch.zeros(ITEMS))).backward()

    assert table.grad is None
    assert features.grad is not None


def test_draws_are_distinct_and_as_frequent_as_expected() -> None:
    items = torch.randperm(ITEMS, generator=torch.Generator().manual_seed(0))
    sampler = LogUniform(items, ITEMS)
    random, counts, expectation = torch.Generator().manual_seed(1), torch.zeros(ITEMS), torch.zeros(ITEMS)
    rounds = 3000
    for _ in range(rounds):
        drawn = sampler.draw(8, items, random)
        assert len(torch.unique(drawn.items)) == 8
        counts[drawn.items] += 1
        expectation[items] += drawn.log_expected_label.exp()

    assert counts[items[0]] > 3 * counts[items[-1]]
    torch.testing.assert_close(counts / rounds, expectation / rounds, atol=0.03, rtol=0.0)


def test_chances_by_hand() -> None:
    sampler = LogUniform(torch.tensor([3, 1, 2]), 5)

    assert sampler.chance.tolist() == pytest.approx([0.5, math.log(3 / 2) / math.log(4), math.log(4 / 3) / math.log(4)])
    assert float(sampler.chance.sum()) == pytest.approx(1)
    assert expected(torch.tensor([0.5]), 3).item() == pytest.approx(1 - 0.5**3)


def test_labels_of_the_batch_are_corrected_by_their_share() -> None:
    features, table, label = batch()
    share = torch.rand(ITEMS, generator=torch.Generator().manual_seed(2))
    items = torch.unique(label)

    loss = sampled_cross_entropy(features, table, label, in_batch(label, share.log()))

    scores = features @ table[items].T - share.log()[items]
    torch.testing.assert_close(loss, nn.functional.cross_entropy(scores, torch.searchsorted(items, label)))
