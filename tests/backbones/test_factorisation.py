"""Factorisation machines, each computed in the plainest way: pair by pair, label by label."""

from __future__ import annotations

from itertools import combinations
from math import sqrt

import pytest
import torch
from torch import Tensor

from recretrain.backbones import factorisation
from recretrain.backbones.factorisation import DeepFM, FactorisationMachine, NeuFM
from recretrain.data.kinds import Questions
from recretrain.data.vocabulary import Vocabulary

ITEMS, SIZE, LONGEST = 9, 3, 4
HISTORY = torch.tensor([[-1, 0, 2, 1, 2], [-1, -1, -1, -1, 4], [8, 5, 5, 6, 7], [-1, -1, -1, -1, -1]])
FEATURES = [[0, 1, 2], [4], [5, 6, 7], []]  # the distinct ones of the last four
LABELS = torch.tensor([3, 4, 8])


def made(kind: type[FactorisationMachine], hidden: tuple[int, ...] = (5, 4), **changes) -> FactorisationMachine:
    options = {"embedding_size": SIZE, "hidden": hidden, "longest": LONGEST, "dropout": 0.0, "init_std": 1.0}
    model = kind(vocabulary=Vocabulary.of(n_users=2, n_items=ITEMS), **{**options, **changes}).eval()
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():  # all of one size, so that each shows
        weight.data.normal_(generator=generator)
    return model


def features(row: int, label: int) -> list[tuple[float, Tensor, Tensor]]:
    """Value, and id, of each feature."""
    held = FEATURES[row]
    return [*((1 / sqrt(len(held)), item) for item in held), (1.0, label)]


def line(model: FactorisationMachine, row: int, label: int) -> Tensor:
    return model.bias + sum(value * model.weight[item] for value, item in features(row, label))


def products(model: FactorisationMachine, row: int, label: int) -> Tensor:
    """The sum of the products of all pairs, number by number.  # [d]"""
    pairs = combinations(features(row, label), 2)
    zero = torch.zeros(SIZE)
    return sum((x * y * model.item[i] * model.item[j] for (x, i), (y, j) in pairs), zero)


def network(model: FactorisationMachine, given: Tensor) -> Tensor:
    *hidden, last = model.first, *model.rest
    for layer in hidden:
        given = torch.relu(layer.weight @ given + layer.bias)
    return last.weight @ given


def plainly(model: FactorisationMachine, row: int, label: int) -> Tensor:
    together = products(model, row, label)
    if isinstance(model, NeuFM):
        return line(model, row, label) + network(model, together)
    held = sum((value * model.item[item] for value, item in features(row, label)[:-1]), torch.zeros(SIZE))
    return line(model, row, label) + together.sum() + network(model, torch.cat([held, model.item[label]]))


both = pytest.mark.parametrize("kind", [NeuFM, DeepFM])


@both
@pytest.mark.parametrize("hidden", [(5, 4), (5,), ()], ids=len)
def test_scores_are_those_of_every_pair_of_features(kind, hidden):
    model = made(kind, hidden)

    expected = [[plainly(model, row, int(label)).item() for label in LABELS] for row in range(len(HISTORY))]

    assert model.label_scores(HISTORY, LABELS).tolist() == pytest.approx(torch.tensor(expected).numpy(), abs=1e-5)


def test_neufm_with_a_last_layer_of_ones_alone_is_the_factorisation_machine():
    model = made(NeuFM, ())
    torch.nn.init.ones_(model.first.weight)

    found = model.label_scores(HISTORY[:1], LABELS[:1]).item()

    one = 1 / sqrt(3)
    vector, weight = model.item.tolist(), model.weight.flatten().tolist()
    dot = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in vector] for a in vector]
    pairs = (dot[0][1] + dot[0][2] + dot[1][2]) / 3 + one * (dot[0][3] + dot[1][3] + dot[2][3])
    assert found == pytest.approx(model.bias.item() + one * sum(weight[:3]) + weight[3] + pairs, abs=1e-5)


@both
def test_labels_of_each_question_and_of_all_get_the_same_scores_in_pieces_too(kind, monkeypatch):
    model = made(kind)
    user, own = torch.zeros(len(HISTORY), dtype=torch.long), torch.stack([LABELS.roll(row) for row in range(4)])
    whole = model.label_scores(HISTORY, LABELS)

    for numbers in (1, 2**22):
        monkeypatch.setattr(factorisation, "_NUMBERS", numbers)
        every = model.score(Questions(user=user, catalogue=LABELS, history=HISTORY))
        some = model.score(Questions(user=user, candidates=own, history=HISTORY))
        assert torch.allclose(every, whole, atol=1e-5)
        assert torch.allclose(some, torch.stack([whole[row].roll(row) for row in range(4)]), atol=1e-5)


@both
def test_gradients_are_those_of_the_plain_sum(kind):
    ours, theirs = made(kind), made(kind)

    ours.label_scores(HISTORY, LABELS).square().sum().backward()
    plain = [plainly(theirs, row, int(label)) for row in range(len(HISTORY)) for label in LABELS]
    torch.cat(plain).square().sum().backward()

    for (name, weight), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(weight.grad, other.grad, atol=1e-3, rtol=1e-4), name


@both
def test_dropout_is_on_in_training_alone(kind):
    model = made(kind, dropout=0.5)
    whole = model.label_scores(HISTORY, LABELS)

    assert torch.equal(model.label_scores(HISTORY, LABELS), whole)
    assert not torch.equal(model.train().label_scores(HISTORY, LABELS), whole)
