"""ADER's pieces against numbers computed with the released TensorFlow code (tests/reference/README.md)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from recretrain.backbones.ader_sasrec import AderSASRec
from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.data.kinds import Histories
from recretrain.data.prefixes import Prefixes
from recretrain.data.vocabulary import Vocabulary
from recretrain.evaluation.metrics import mrr, recall
from recretrain.evaluation.rankings import half_ranks
from recretrain.methods.ader import adaptive, distilled, replayed
from recretrain.methods.ewc import anchored, fisher
from recretrain.methods.learners.next_item import Exemplars, PrefixBatch, plain
from recretrain.methods.parts.exemplars import equal, herding_order, proportional

ARRAYS = np.load(Path(__file__).parent / "ader.npz")
FORWARD = {"atol": 1e-5, "rtol": 1e-5}
GRADIENT = {"atol": 2e-6, "rtol": 1e-4}
WEIGHT = {"atol": 5e-6, "rtol": 0.0}
LINEAR = {"Wq": "query", "Wk": "key", "Wv": "value", "W1": "widen", "W2": "narrow"}
BIAS = {"bq": "query", "bk": "key", "bv": "value", "b1": "widen", "b2": "narrow"}
NORM = {"ln_a": "before_attention", "ln_c": "before_network", "ln_f": "norm"}


def array(name: str) -> Tensor:
    return torch.from_numpy(np.array(ARRAYS[name]))


def number(name: str) -> float:
    return float(ARRAYS[name])


def golden_names() -> list[str]:
    return [name.removeprefix("param.") for name in ARRAYS.files if name.startswith("param.")]


def place_of(name: str) -> str:
    """The name of a released weight in our module."""
    if name in ("item_table", "pos_table"):
        return {"item_table": "item", "pos_table": "position"}[name]
    *block, last = name.replace("block", "blocks.").rsplit(".", 1)
    where = ".".join(block)
    if last in LINEAR:
        return f"{where}.{LINEAR[last]}.weight"
    if last in BIAS:
        return f"{where}.{BIAS[last]}.bias"
    *parent, norm = where.split(".")
    return ".".join([*parent, NORM[norm], last])


def as_ours(name: str, value: Tensor) -> Tensor:
    """Without the row of zeros, and matrices as (out, in)."""
    if name == "item_table":
        return value[1:]
    return value.T if name.rsplit(".", 1)[-1] in LINEAR else value


def model() -> AderSASRec:
    made = AderSASRec(
        vocabulary=Vocabulary.of(n_users=1, n_items=60), embedding_size=16, blocks=2, longest=10, dropout=0.0
    )
    made.load_state_dict({place_of(name): as_ours(name, array(f"param.{name}")) for name in golden_names()})
    return made.eval()


def history(name: str) -> Tensor:
    """The released left-padded ids, from 1 with 0 as padding, as ours, from 0 with -1."""
    return array(name).long() - 1


KNOWN, OLD = int(number("max_item")), int(number("old_max_item"))


def check_gradients(made: AderSASRec, kind: str) -> None:
    ours = dict(made.named_parameters())
    for name in golden_names():
        gradient = ours[place_of(name)].grad
        assert gradient is not None, name
        tolerance = {"atol": 1e-6, "rtol": 0.0} if name.endswith(".bk") else GRADIENT
        torch.testing.assert_close(gradient, as_ours(name, array(f"{kind}.{name}")), **tolerance, msg=name)


def test_every_weight_of_the_release_has_its_place():
    ours = {name for name, _ in model().named_parameters()}

    assert {place_of(name) for name in golden_names()} == ours


def inputs(name: str) -> tuple[Tensor, Tensor]:
    """Histories and users, of whom this model knows nothing."""
    return history(name), torch.zeros(len(history(name)), dtype=torch.long)


def batch() -> PrefixBatch:
    """The new prefixes."""
    return PrefixBatch(*inputs("seq"), history("label"))


def batch_with_exemplars(answer: Tensor | None) -> PrefixBatch:
    """The same, with exemplars and the teacher's answers to them."""
    return batch()._replace(exemplars=Exemplars(*inputs("ex_seq"), history("ex_label"), answer))


def test_prefixes_are_cut_as_released():
    for kind, sessions in (("", array("sessions")), ("ex_", array("ex_sessions"))):
        length = (sessions >= 0).sum(1)
        items = torch.cat([row[:n] for row, n in zip(sessions, length, strict=True)]) - 1
        first = length.cumsum(0) - length
        prefixes = Prefixes(items, first, first + length - 1, torch.zeros_like(first))
        ours = prefixes.histories(10)

        assert torch.equal(ours, history(f"{kind}seq")[:, -ours.shape[1] :])
        assert torch.equal(prefixes.labels, history(f"{kind}label"))
        assert torch.equal(prefixes.compact(10).histories(10), ours)
        assert torch.equal(prefixes.compact(10).labels, prefixes.labels)


def test_representation_and_scores():
    made = model()

    features = made.represent(*inputs("seq"))

    torch.testing.assert_close(features, array("rep"), **FORWARD)
    torch.testing.assert_close(features @ made.item[:KNOWN].T, array("logits"), **FORWARD)


def test_cross_entropy_and_its_gradients():
    made = model()

    loss = plain(made, KNOWN, batch())
    loss.backward()

    assert float(loss.detach()) == pytest.approx(number("ce_loss"), abs=1e-5)
    check_gradients(made, "ce_grad")


class GivenAnswers:
    """A teacher whose scores are given: its table is the identity."""

    taught = array("teacher_logits")
    table = torch.eye(OLD)


def distilled_loss(made: AderSASRec) -> Tensor:
    loss = distilled(number("kd_lambda"), GivenAnswers.table)
    return loss(made, KNOWN, batch_with_exemplars(GivenAnswers.taught))


def test_distillation_and_its_gradients():
    made = model()

    loss = distilled_loss(made)
    loss.backward()

    assert float(loss.detach()) == pytest.approx(number("kd_total_loss"), abs=1e-5)
    check_gradients(made, "kd_grad")


def test_replay_of_labels():
    made = model()
    loss = replayed(number("kd_lambda"))(made, KNOWN, batch_with_exemplars(None))

    assert float(loss.detach()) == pytest.approx(number("er_total_loss"), abs=1e-5)


def test_two_steps_of_adam():
    made = model()
    adam = TensorFlowAdam(list(made.parameters()), learning_rate=number("lr"))
    for step in (1, 2):
        adam.zero_grad()
        distilled_loss(made).backward()
        adam.step()
        ours = dict(made.named_parameters())
        for name in golden_names():
            tolerance = {"atol": 2 * number("lr"), "rtol": 0.0} if name.endswith(".bk") else WEIGHT
            wanted = as_ours(name, array(f"kd_adam{step}.{name}"))
            torch.testing.assert_close(ours[place_of(name)].detach(), wanted, **tolerance, msg=f"{name}, step {step}")


def test_ranks_and_metrics():
    made = model()
    test = Histories(
        period=1,
        user=torch.zeros(40, dtype=torch.long),
        labels=history("eval_label"),
        catalogue=torch.arange(KNOWN),
        history=history("eval_seq"),
    )

    rank = half_ranks(made, test, torch.device("cpu")).double() / 2

    assert torch.equal(rank.long(), array("eval_rank").long())
    measured = [float(metric(rank, k).mean()) for metric, k in ((mrr, 20), (recall, 20), (mrr, 10), (recall, 10))]
    assert measured == pytest.approx(ARRAYS["eval_mrr20_recall20_mrr10_recall10"].tolist(), abs=1e-12)


def test_the_weight_of_the_exemplars():
    for (base, old, known, exemplars, new), wanted in zip(ARRAYS["lambda_in"], ARRAYS["lambda_t"], strict=True):
        assert base * adaptive(old, known, exemplars, new) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("case", range(14))
def test_herding(case: int):
    item, quota, selected = ARRAYS["herd_item_quota_nsel"][case]
    first, stop = ARRAYS["herd_offsets"][item : item + 2]
    features = torch.nn.functional.normalize(array("herd_features")[first:stop], dim=1)

    order = herding_order(
        features.unsqueeze(0), torch.ones(1, len(features), dtype=torch.bool), torch.tensor([int(quota)])
    )[0]

    found = order[order >= 0].tolist()
    assert found == ARRAYS["herd_order"][case][: int(selected)].tolist()
    assert math.isclose(len(found), selected)


def test_fisher_information():
    made = model()
    prefixes = first_prefixes(5)

    matters = fisher(made, prefixes, KNOWN)

    for name in golden_names():
        ours = matters[place_of(name)]
        tolerance = {"atol": 1e-6, "rtol": 0.0} if name.endswith(".bk") else {"atol": 2e-5, "rtol": 1e-4}
        torch.testing.assert_close(ours, as_ours(name, array(f"fisher.{name}")), **tolerance, msg=name)


def test_the_held_loss_and_its_gradient():
    made = model()
    matters = fisher(made, first_prefixes(5), KNOWN)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(number("ewc_prev_scale"))
    loss_of = anchored(matters, number("ewc_lambda"), made)
    made.load_state_dict(model().state_dict())

    loss = loss_of(made, KNOWN, batch())
    loss.backward()

    assert float(loss.detach()) == pytest.approx(number("ewc_total_loss"), abs=1e-4)
    for name in golden_names():
        if name.endswith(".bk"):
            continue
        moved = (1 - number("ewc_prev_scale")) * array(f"param.{name}")
        pull = number("ewc_lambda") * array(f"fisher.{name}") * moved
        wanted = as_ours(name, array(f"ce_grad.{name}") + pull)
        gradient = dict(made.named_parameters())[place_of(name)].grad
        torch.testing.assert_close(gradient, wanted, atol=1e-4, rtol=1e-4, msg=name)


def first_prefixes(n: int) -> Prefixes:
    sessions = array("sessions")[:n]
    length = (sessions >= 0).sum(1)
    items = torch.cat([row[:end] for row, end in zip(sessions, length, strict=True)]) - 1
    first = length.cumsum(0) - length
    return Prefixes(items, first, first + length - 1, torch.zeros_like(first))


def test_quotas_of_the_release(monkeypatch: pytest.MonkeyPatch):
    """Its draw is NumPy's legacy one; ours takes the seed of it from the task's generator."""
    size, seed = (int(number) for number in ARRAYS["quota_N_seed"])
    count = array("quota_label_count")
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.tensor([seed]))

    assert torch.equal(proportional(count, size, torch.Generator()), array("quota_prop"))
    assert torch.equal(equal(count, size, torch.Generator()), array("quota_equal"))
