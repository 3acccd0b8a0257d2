"""A machine of one task has rows for its own labels and the source, and scores as one with rows for all items."""

from __future__ import annotations

import pytest
import torch

from recretrain.backbones.factorisation import DeepFM, FactorisationMachine, NeuFM
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.factorised import MachineOf

SPACE = torch.tensor([0, 1, 0, 2, 2, 0, 1])  # of seven items; the source is space 0
SIZES = {"embedding_size": 3, "hidden": [4], "longest": 5, "dropout": 0.0, "init_std": 1.0}
HISTORY = torch.tensor([[-1, 0, 5, 2], [-1, -1, -1, 5]])


def whole(kind: type[FactorisationMachine]) -> FactorisationMachine:
    vocabulary = Vocabulary.of(n_users=2, n_items=7, spaces=("source", "one", "two"), item_space=SPACE)
    return kind(vocabulary=vocabulary, **SIZES)


@pytest.mark.parametrize("kind", [NeuFM, DeepFM])
def test_a_machine_of_one_space_scores_as_the_whole_one(kind):
    model, labels = whole(kind), torch.tensor([3, 4])
    torch.nn.init.normal_(model.weight)

    net = MachineOf(model, 2)

    expected = model.label_scores(HISTORY, labels)
    assert torch.equal(net.scores(net.features(HISTORY), labels), expected)
    assert torch.equal(net.scores(net.features(HISTORY), labels.flip(0).expand(2, 2)), expected.flip(1))
    assert net.machine.item.shape == (5, 3)
    assert net.penalty().item() == pytest.approx(model.item[3:5].square().sum().item() / 2)


def test_items_of_other_tasks_in_a_history_are_not_looked_at():
    net = MachineOf(whole(NeuFM), 2)
    foreign = torch.tensor([[1, 0, 5, 2], [-1, 6, -1, 5]])

    assert torch.equal(net.features(foreign), net.features(HISTORY))


def test_what_a_task_tunes_is_its_own():
    model = whole(DeepFM)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    net = MachineOf(model, 1)

    for weight in net.tuned().values():
        weight.data.add_(1)

    assert len(net.tuned()) == len([*model.parameters()])
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
