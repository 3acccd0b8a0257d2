"""SML's options, one at a time: which rows are blended, when the transfer is taught, and what it is taught with."""

from __future__ import annotations

import pytest
import torch

from recretrain.backbones.mf import MF
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from recretrain.methods.sml import SML, FreshFit, batches_of
from recretrain.testing import case, learn
from recretrain.testing.contract import Case


def fresh(**changes) -> FreshFit:
    options = {"epochs": 1, "learning_rate": 0.01, "reg": 0.5, "reg_scaling": "summed", "batch_size": 8}
    return FreshFit(**{**options, "negatives": "period", "through_transfer": False, "adam": "carried", **changes})


def run(made: Case, folder, tasks: int) -> SML:
    stream = made.stream(folder)
    method = made.method(stream)
    for task in made.tasks(stream)[:tasks]:
        learn(method, task)
    return method


def weights(method: SML) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in method.transfer.nets.parameters()]


def same(left: list[torch.Tensor], right: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_regularisation_may_be_that_of_a_row_not_of_a_batch():
    assert fresh().reg == 0.5
    assert fresh(reg_scaling="mean").reg == 0.5 / 8


@pytest.mark.parametrize("kept", ["transferred", "kept"])
def test_rows_without_a_new_interaction_are_served_as_they_were_or_blended(kept, tmp_path):
    sml = case("sml", f"method.inactive_rows={kept}")
    stream = sml.stream(tmp_path / "s")
    method = sml.method(stream)
    first, second, *_ = sml.tasks(stream)
    learn(method, first)
    before = method.backbone.item.detach().clone()
    learn(method, second)

    asleep = torch.ones(len(before), dtype=torch.bool)
    asleep[second.period.train.item] = False
    after = method.backbone.item.detach()
    assert asleep.any()
    assert torch.equal(after[asleep], before[asleep]) == (kept == "kept")
    assert not torch.equal(after[~asleep], before[~asleep])


def test_the_transfer_is_taught_from_the_third_task_on_until_the_period_that_is_named(tmp_path):
    taught, untaught = case("sml"), case("sml", "method.transfer.taught.until=4")

    begun = weights(run(taught, tmp_path / "a", 2))  # the first period after the warm-up teaches nothing
    assert same(begun, weights(run(taught, tmp_path / "b", 1)))
    assert not same(begun, weights(run(taught, tmp_path / "c", 3)))
    third = weights(run(untaught, tmp_path / "d", 3))  # learns period 3
    assert same(third, weights(run(taught, tmp_path / "e", 3)))
    assert same(third, weights(run(untaught, tmp_path / "f", 5)))  # learns periods 4 and 5 too


def test_moments_of_the_fresh_fit_are_carried_or_begun_with_each_period(tmp_path):
    for adam, steps in (("carried", "more"), ("new", "fewer")):
        sml = case("sml", f"method.fresh.adam={adam}", "method.loops=1")
        counts = []
        for tasks in (2, 3):
            state = run(sml, tmp_path / f"{adam}{tasks}", tasks).state_dict()["fresh"]["adam"]["state"]["state"]
            counts.append(int(state[0]["step"]))
        assert (counts[1] > counts[0]) == (steps == "more")


def test_stored_negatives_need_stored_candidates(tmp_path):
    sml = case("sml", "eval=full", "eval.questions.candidates=null")
    stream = sml.stream(tmp_path / "s")
    method = sml.method(stream)
    first, second, *_ = sml.tasks(stream)
    learn(method, first)

    with pytest.raises(
        ConfigError, match=r"need eval\.questions\.candidates; else set method\.fresh\.negatives=period"
    ):
        learn(method, second)


def test_the_periods_own_items_serve_as_negatives_without_candidates(tmp_path):
    options = ("method.fresh.negatives=period", "method.transfer.negatives=period")
    sml = case("sml", "eval=full", "eval.questions.candidates=null", *options)

    run(sml, tmp_path / "s", 3)


@pytest.mark.parametrize("negatives", ["stored", "period"])
def test_negatives_are_of_the_stored_candidates_or_of_the_periods_items(negatives, tmp_path):
    sml = case("sml")
    stream = sml.stream(tmp_path / "s")
    period = sml.tasks(stream)[1].period
    mf = MF(vocabulary=Vocabulary.of(n_users=40, n_items=60), embedding_size=2, init_std=0.1)

    class Here:
        device = torch.device("cpu")
        generator = torch.Generator().manual_seed(0)

    offered = period.questions.candidates.tolist()
    rows = list(zip(period.train.user.tolist(), period.train.item.tolist(), strict=True))
    allowed: dict[tuple[int, int], set[int]] = {}
    for (user, item), candidates in zip(rows, offered, strict=True):
        own = candidates if negatives == "stored" else {one for _, one in rows} - {i for u, i in rows if u == user}
        allowed.setdefault((user, item), set()).update(own)

    drawn = list(batches_of(mf, period, Here(), negatives=negatives, batch_size=8))

    triples = [tuple(map(int, row)) for batch in drawn for row in zip(*batch, strict=True)]
    assert sorted((user, item) for user, item, _ in triples) == sorted(rows)
    assert all(negative in allowed[user, item] for user, item, negative in triples)
