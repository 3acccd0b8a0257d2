"""Quotas and selections by hand; herding and quotas against the released code stand in tests/reference."""

import pytest
import torch

from recretrain.data.prefixes import Prefixes
from recretrain.methods.parts.exemplars import (
    Candidates,
    Memory,
    at_random,
    equal,
    herding,
    loss_as_released,
    proportional,
    smallest_loss,
)

LABELS = [0, 1, 1, 1, 2, 2]  # of six candidates, each with one item as its input


def candidates(*, features: list[list[float]] | None = None, losses: list[float] | None = None) -> Candidates:
    items = torch.tensor([[10 + n, label] for n, label in enumerate(LABELS)]).flatten()
    start = torch.arange(0, 12, 2)
    given = torch.tensor(features or [[1.0, 0.0]] * 6)
    return Candidates(
        Prefixes(items, start, start + 1, torch.arange(6)),
        features=lambda: given,
        losses=lambda: torch.tensor(losses or [0.0] * 6),
    )


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_smallest_losses_of_a_label_are_kept():
    found = smallest_loss(candidates(losses=[9, 3, 1, 2, 5, 4]), torch.tensor([1, 2, 1]), generator())

    assert found.tolist() == [0, 2, 3, 5]


def test_random_keeps_the_quota_of_each_label_without_repetition():
    found = at_random(candidates(), torch.tensor([1, 2, 0]), generator())

    assert [LABELS[n] for n in found.tolist()] == [0, 1, 1]
    assert len(set(found.tolist())) == 3
    draws = {tuple(at_random(candidates(), torch.tensor([1, 2, 0]), g).tolist()) for g in map(seeded, range(30))}
    assert len(draws) == 3


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_as_released_a_label_keeps_one_whatever_its_quota():
    found = loss_as_released(candidates(), torch.tensor([1, 3, 0]), generator())

    assert [LABELS[n] for n in found.tolist()] == [0, 1]


def test_herding_follows_the_mean():
    # label 1: directions 0, 90 and 80 degrees, whose mean points to 57: the nearest is at 80, then 0 mends the mean
    angles = torch.deg2rad(torch.tensor([0.0, 0.0, 90.0, 80.0, 0.0, 0.0]))
    features = torch.stack([angles.cos(), angles.sin()], 1).tolist()

    assert herding(candidates(features=features), torch.tensor([0, 1, 0]), generator()).tolist() == [3]
    assert herding(candidates(features=features), torch.tensor([0, 2, 0]), generator()).tolist() == [1, 3]


def test_herding_looks_at_directions_not_at_lengths():
    angles = torch.deg2rad(torch.tensor([0.0, 0.0, 90.0, 80.0, 0.0, 0.0]))
    features = torch.stack([angles.cos(), angles.sin()], 1)
    features[1] *= 100

    assert herding(candidates(features=features.tolist()), torch.tensor([0, 1, 0]), generator()).tolist() == [3]


def test_no_quota_no_exemplar():
    assert herding(candidates(), torch.zeros(3, dtype=torch.long), generator()).tolist() == []


def test_quotas_follow_the_shares_of_the_labels():
    count = torch.tensor([0, 100, 300])
    drawn = proportional(count, 4000, generator())

    assert drawn.sum() == 4000
    assert drawn[0] == 0
    assert drawn[1].item() == pytest.approx(1000, abs=120)  # four deviations of the draw
    assert equal(count, 3000, generator()).tolist() == pytest.approx([1000] * 3, abs=110)


def memory(size: int, quotas: str, selection: str) -> Memory:
    return Memory(size=size, quotas=quotas, selection=selection)


def test_a_quota_is_clipped_to_the_candidates_and_what_is_over_is_lost():
    kept = memory(1000, "equal", "random")
    kept.rebuild(candidates(), 3, 5, generator())

    assert len(kept) == 6


def test_inputs_are_cut_to_their_last_items():
    kept = memory(1000, "equal", "random")
    kept.rebuild(
        Candidates(
            Prefixes(torch.tensor([7, 8, 9, 1]), torch.tensor([0]), torch.tensor([3]), torch.tensor([4])),
            features=lambda: torch.ones(1, 2),
            losses=lambda: torch.zeros(1),
        ),
        2,
        2,
        generator(),
    )

    assert kept.kept.histories(5).tolist() == [[8, 9]]
    assert kept.kept.labels.tolist() == [1]
    assert kept.kept.user.tolist() == [4]
    assert kept.kept.items.tolist() == [8, 9, 1]


def test_a_memory_comes_back_as_it_was():
    first, other = (memory(4, "proportional", "herding") for _ in range(2))
    first.rebuild(candidates(), 3, 5, generator())

    other.load_state_dict(first.state_dict())

    assert torch.equal(other.kept.histories(5), first.kept.histories(5))
    assert torch.equal(other.kept.labels, first.kept.labels)
    assert torch.equal(other.kept.user, first.kept.user)
    assert 0 < len(first) <= 4


def test_an_empty_memory_comes_back_empty():
    other = memory(4, "proportional", "herding")
    other.rebuild(candidates(), 3, 5, generator())

    other.load_state_dict(memory(4, "proportional", "herding").state_dict())

    assert len(other) == 0
