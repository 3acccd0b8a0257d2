import pytest
import torch

from recretrain.data.batches import Batches, stored_negatives
from recretrain.data.interactions import Interactions
from recretrain.data.negatives import KnownPairs, NegativeSampler


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int = 500, users: int = 20, items: int = 60) -> Interactions:
    user, item = (torch.randint(high, (n,), generator=generator(seed)) for seed, high in ((0, users), (1, items)))
    return Interactions(user, item)


def test_a_pair_is_known_exactly_if_it_was_given():
    given = rows()
    known = KnownPairs(given.user, given.item, 60)
    user, item = torch.cartesian_prod(torch.arange(20), torch.arange(60)).T

    pairs = set(zip(given.user.tolist(), given.item.tolist(), strict=True))
    expected = [(u, i) in pairs for u, i in zip(user.tolist(), item.tolist(), strict=True)]

    assert known.contains(user, item).tolist() == expected


def test_no_negative_is_a_known_pair_and_all_come_from_the_pool():
    given = rows()
    sampler = NegativeSampler.within(given.user, given.item, 60)

    negative = sampler.draw(given.user, generator())

    assert not KnownPairs(given.user, given.item, 60).contains(given.user, negative).any()
    assert set(negative.tolist()) <= set(given.item.tolist())


def test_negatives_are_uniform_over_what_the_user_has_not():
    sampler = NegativeSampler(torch.arange(10), KnownPairs(torch.tensor([0, 0]), torch.tensor([3, 4]), 10))

    counts = torch.bincount(sampler.draw(torch.zeros(80_000, dtype=torch.long), generator()), minlength=10)

    assert counts[[3, 4]].tolist() == [0, 0]
    assert ((counts[[0, 1, 2, 5, 6, 7, 8, 9]] - 10_000).abs() < 500).all()  # five deviations


def test_a_user_who_has_everything_is_named():
    user, item = torch.zeros(5, dtype=torch.long), torch.arange(5)

    with pytest.raises(ValueError, match=r"user 0 has nearly all of the 5 items"):
        NegativeSampler.within(user, item, 5).draw(user, generator())


def test_an_epoch_serves_every_row_once_with_its_own_negative():
    given = rows(10)
    candidates = torch.arange(100).reshape(10, 10).int()
    batches = Batches(given, stored_negatives(candidates), batch_size=4, generator=generator())

    parts = list(batches)

    assert [len(user) for user, _, _ in parts] == [4, 4, 2]
    assert len(batches) == 3
    user, item, negative = (torch.cat(column) for column in zip(*parts, strict=True))
    key = given.user * 1000 + given.item
    served = user * 1000 + item
    assert sorted(served.tolist()) == sorted(key.tolist())
    assert all(key[n // 10] == s for n, s in zip(negative.tolist(), served.tolist(), strict=True))


def test_two_epochs_differ_and_a_seed_repeats_them():
    given = rows()
    sampler = NegativeSampler.within(given.user, given.item, 60)

    def epochs(seed: int):
        batches = Batches(given, sampler, batch_size=500, generator=generator(seed))
        return [next(iter(batches)) for _ in range(2)]

    first, second = epochs(0)
    again, _ = epochs(0)

    assert not torch.equal(first[2], second[2])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(ValueError, match="batch_size=0"):
        Batches(rows(), stored_negatives(torch.zeros(1, 1)), batch_size=0, generator=generator())
