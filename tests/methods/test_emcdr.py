"""Factors of two domains: what is shared, what is mapped, and what becomes of those who have no rows."""

from pathlib import Path

import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.errors import ConfigError
from recretrain.methods.cdlfm import alike
from recretrain.methods.cmf import CMF
from recretrain.methods.cross_domain import Domains
from recretrain.methods.emcdr import MappedFactors, as_mapped
from recretrain.methods.parts.factorising import Tables
from recretrain.testing import case
from recretrain.testing.contract import learn


def test_each_domain_has_its_own_mean_and_unknown_items_are_at_it(tmp_path: Path) -> None:
    small = case("cmf", "schedule=own_tests")
    stream = small.stream(tmp_path)
    method, task = small.method(stream), small.tasks(stream)[0]

    learn(method, task)

    backbone, period = method.backbone, task.period
    assert float(backbone.mean[0]) == pytest.approx(float(period.context.other["rating"].mean()))
    assert float(backbone.mean[1]) == pytest.approx(float(period.train.other["rating"].mean()))
    unseen = torch.ones(stream.n_items, dtype=torch.bool)
    unseen[torch.cat([period.context.item, period.train.item])] = False
    assert bool(unseen.any())
    assert float(backbone.item_bias[unseen].abs().sum() + backbone.item[unseen].abs().sum()) == 0
    of_target = torch.nonzero(unseen & (stream.vocabulary.item_space == 1)).squeeze(1)
    nobody = torch.ones(stream.n_users, dtype=torch.bool).index_fill_(0, period.context.user, False)
    nobody[period.train.user] = False
    backbone.user_bias[nobody] = 0
    users = torch.zeros(1, dtype=torch.long)
    backbone.user_bias[users] = 0.25
    found = backbone.predict(users, of_target[:1].unsqueeze(0))
    assert float(found) == pytest.approx(float(backbone.mean[1]) + 0.25)


def test_cmf_fits_one_user_to_the_rows_of_both_domains_by_their_weights(tmp_path: Path) -> None:
    small = case("cmf", "schedule=own_tests", "method.target_shares=[0.8]", "method.factors.penalties=[2.0]")
    stream = small.stream(tmp_path)
    method, task = small.method(stream), small.tasks(stream)[0]
    assert isinstance(method, CMF)
    method.factors = type(method.factors)(ranks=[4], penalties=[2.0], sweeps=600)

    learn(method, task)

    backbone = method.backbone
    period, user = task.period, int(task.period.context.user[0])
    gradient = 2.0 * torch.cat([backbone.user_bias[user].view(1), backbone.user[user, :4]])
    for rows, weight, mean in ((period.context, 0.4, backbone.mean[0]), (period.train, 1.6, backbone.mean[1])):
        mine = rows.user == user
        item, rating = rows.item[mine], rows.other["rating"][mine].double()
        predicted = (
            mean + backbone.item_bias[item] + backbone.user_bias[user] + backbone.item[item] @ backbone.user[user]
        )
        with_one = torch.cat([torch.ones(len(item), 1), backbone.item[item, :4]], 1)
        gradient -= weight * ((rating - predicted).unsqueeze(1) * with_one).sum(0)
    assert float(gradient.abs().max()) < 1e-3


def rows(*pairs: tuple[int, int]) -> Interactions:
    user, item = zip(*pairs, strict=True)
    return Interactions(torch.tensor(user), torch.tensor(item), {"rating": torch.ones(len(user))})


def test_users_of_the_source_are_mapped_and_others_keep_their_own_factors() -> None:
    source = Tables(torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]), torch.zeros(1, 2))
    target = Tables(torch.tensor([[9.0, 9.0], [8.0, 8.0], [7.0, 7.0]]), torch.zeros(1, 2))
    domains = Domains(rows((0, 0), (1, 0)), rows((0, 1), (2, 1)))

    found = as_mapped((source, target, lambda users: -users), domains, torch.arange(3))

    assert found.tolist() == [[-1.0, -2.0], [-3.0, -4.0], [7.0, 7.0]]


def test_a_warm_start_goes_on_from_the_factors_of_both_domains(tmp_path: Path) -> None:
    overrides = ("schedule=next_period", "method.reads=new", "method.start=warm")
    small = case("emcdr", *overrides, "method.factors.sweeps=1")
    stream = small.stream(tmp_path)
    method, tasks = small.method(stream), small.tasks(stream)
    assert isinstance(method, MappedFactors)

    learn(method, tasks[0])
    before = {name: table.clone() for name, table in method.tables.items()}
    learn(method, tasks[1])

    absent = torch.ones(stream.n_items, dtype=torch.bool).index_fill_(0, tasks[1].period.context.item, False)
    absent &= stream.vocabulary.item_space == 0
    assert bool(absent.any())
    assert torch.equal(method.tables["source_item"][absent], before["source_item"][absent])
    assert not torch.equal(method.tables["source_item"], before["source_item"])


def test_ranks_beyond_the_room_of_the_backbone_are_refused(tmp_path: Path) -> None:
    small = case("cmf", "schedule=own_tests", "method.factors.ranks=[4,32]", "backbone.embedding_size=16")

    with pytest.raises(ConfigError, match=r"ranks=\[4, 32\] are more than backbone.embedding_size=16 has room for"):
        small.method(small.stream(tmp_path))


def test_autoencoders_do_not_go_on_from_earlier_weights(tmp_path: Path) -> None:
    small = case("dfm", "schedule=next_period", "method.start=warm")

    with pytest.raises(ConfigError, match="start=warm: Autoencoders always begins anew"):
        small.method(small.stream(tmp_path))


def test_likeness_is_the_share_of_common_items_times_agreement() -> None:
    user, item = torch.tensor([3, 3, 5, 5, 5, 8]), torch.tensor([0, 1, 0, 1, 2, 9])
    given = Interactions(user, item, {"rating": torch.tensor([5.0, 3.0, 4.0, 1.0, 2.0, 5.0])})

    found = alike(given, 2)

    # items 0 and 1 of three; squared differences 1 and 4 of at most (5 - 1)^2 = 16
    assert found.user.tolist() == [3, 5]
    assert found.other.tolist() == [5, 3]
    assert found.weight.tolist() == pytest.approx([2 / 3 * (1 - 2.5 / 16)] * 2)


def test_each_has_his_most_like_and_those_who_have_him() -> None:
    rng = torch.Generator().manual_seed(0)
    user, item = (torch.randint(n, (400,), generator=rng) for n in (30, 20))
    given = Interactions(user, item, {"rating": torch.randint(1, 6, (400,), generator=rng).float()})

    found, every = alike(given, 3), alike(given, 30)

    weights = torch.zeros(30, 30).double()
    weights[every.user, every.other] = every.weight
    assert torch.equal(weights, weights.T)
    kept = torch.zeros(30, 30, dtype=torch.bool)
    kept[found.user, found.other] = True
    best = torch.zeros(30, 30, dtype=torch.bool).scatter_(1, weights.topk(3, 1).indices, True)
    assert torch.equal(kept, best | best.T)
