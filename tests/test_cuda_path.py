"""Code that serves a GPU, as far as a machine without one can show it; tests/gpu shows the rest.

Tensors of another device without storage (`meta`) refuse to mix with the CPU's, so a tensor left behind is found. Fake
tensors that claim to be on `cuda` would be nearer the thing, but a torch built without CUDA refuses to index them.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from recretrain.backbones import softmax
from recretrain.backbones.ader_sasrec import AderSASRec
from recretrain.backbones.caser import Caser
from recretrain.backbones.factorisation import DeepFM, NeuFM
from recretrain.backbones.gru4rec import GRU4Rec
from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam
from recretrain.backbones.sasrec import SASRec
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy, distillation
from recretrain.data.kinds import Questions, Rankings
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.engine.machine import device_named
from recretrain.evaluation.rankings import chunk_of
from recretrain.methods.learners.log_loss import LogLoss
from recretrain.methods.parts.teaching import copy_tables
from recretrain.methods.parts.transfer import Convolutions, DimensionGate
from recretrain.methods.sml import FreshObjective, TransferObjective
from recretrain.testing.contract import CPU

OTHER = torch.device("meta")


@pytest.fixture
def elsewhere():
    with OTHER:
        yield


def mf() -> MF:
    return MF(vocabulary=Vocabulary.of(n_users=20, n_items=30), embedding_size=8, init_std=0.1)


def triples() -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros(6, dtype=torch.long) for _ in range(3))


def step(objective, adam) -> torch.Tensor:
    adam.zero_grad()
    loss = objective.loss(triples())
    loss.backward()  # the fused optimiser step itself needs a real device
    return loss


def test_the_log_loss_steps_on_the_device(elsewhere):
    model = mf()
    adam = DenseAdam(list(model.parameters()), learning_rate=0.01)

    loss = step(LogLoss(model, adam, reg=0.1), adam)

    assert loss.device == OTHER
    assert model.user.grad.device == OTHER


def test_both_steps_of_sml_and_a_blend_stay_on_the_device(elsewhere):
    model = mf()
    nets = torch.nn.ModuleDict(
        {
            name: Convolutions(
                embedding_size=8, filters=[4], hidden=8, product=True, detach_product=True, epsilon=1e-12
            )
            for name in ("user", "item")
        }
    )
    previous, fresh = copy_tables(model), copy_tables(model)
    fits = DenseAdam(list(model.parameters()), learning_rate=0.01)
    teaches = DenseAdam(list(nets.parameters()), learning_rate=0.01)

    assert step(FreshObjective(model, previous, nets, fits, reg=0.1), fits).device == OTHER
    assert step(TransferObjective(previous, fresh, nets, teaches), teaches).device == OTHER
    nets["user"].blend_into(model.user.detach(), previous["user"], fresh["user"])
    assert model.user.device == OTHER


def test_scores_are_made_where_the_model_is(elsewhere):
    user = torch.zeros(5, dtype=torch.long)
    sampled = Questions(user=user, candidates=torch.zeros(5, 9, dtype=torch.long))

    assert mf().score(sampled).device == OTHER
    assert (
        MF(vocabulary=Vocabulary.of(n_users=20, n_items=3000), embedding_size=8, init_std=0.1).score(sampled).device
        == OTHER
    )


def test_a_tensor_left_on_the_cpu_is_found():
    with OTHER:
        model = mf()
    objective = LogLoss(model, None, reg=0.0)
    model.item = torch.nn.Parameter(torch.zeros(30, 8))

    with pytest.raises(RuntimeError, match="device"):
        objective.loss(triples())


SIZES: dict[str, Any] = {
    "vocabulary": Vocabulary.of(n_users=20, n_items=30),
    "embedding_size": 8,
    "longest": 6,
    "dropout": 0.1,
}
SEQUENCE: dict[str, Callable[[], SequenceBackbone]] = {
    "ader_sasrec": lambda: AderSASRec(**SIZES, blocks=2),
    "sasrec": lambda: SASRec(**SIZES, blocks=2, heads=2),
    "gru4rec": lambda: GRU4Rec(**SIZES, hidden_size=12, layers=2, tied=True),
    "untied_gru4rec": lambda: GRU4Rec(**SIZES, hidden_size=8, layers=1, tied=False),
    "caser": lambda: Caser(**SIZES, horizontal=3, vertical=2, users=True),
}
sequences = pytest.mark.parametrize("name", SEQUENCE)


@sequences
def test_the_losses_of_a_sequence_backbone_step_on_the_device(name, elsewhere):
    model = SEQUENCE[name]().train()
    history = torch.zeros(5, 6, dtype=torch.long)  # groups of like length need values, so there are none
    features = model.completed(model.encode(history), torch.zeros(5, dtype=torch.long))

    loss = cross_entropy(features, model.output, torch.zeros(5, dtype=torch.long), 30)
    teacher = torch.zeros(20, features.shape[1])
    loss = loss + distillation(features, model.output, torch.zeros_like(features), teacher)
    loss.backward()

    assert loss.device == OTHER
    assert {parameter.grad.device for parameter in model.parameters()} == {OTHER}


def test_elsewhere_than_on_a_cpu_more_is_done_at_once(elsewhere, monkeypatch):
    """Steps of a GPU are bound by launches: one product for a soft-max, one pass for a table."""
    products, passes = [], []
    monkeypatch.setattr(softmax, "times", lambda left, right: products.append(1) or left @ right.T)
    table = torch.nn.Parameter(torch.zeros(50_000, 8))
    cross_entropy(torch.zeros(5, 8), table, torch.zeros(5, dtype=torch.long), 50_000)
    rows = torch.zeros(50_000, 8)
    gate = DimensionGate(embedding_size=8)
    gate.register_forward_hook(lambda *_: passes.append(1))
    gate.blend_into(rows, rows, rows)

    assert (len(products), len(passes)) == (1, 1)


def test_more_questions_are_asked_at_once_the_fewer_items_there_are():
    user = torch.zeros(9, dtype=torch.long)

    def among(items: int) -> Rankings:
        return Rankings(period=0, user=user, labels=user, catalogue=torch.arange(items))

    sampled = Rankings(period=0, user=user, labels=user, candidates=user.unsqueeze(1))
    assert (chunk_of(sampled, CPU), chunk_of(sampled, OTHER)) == (256, 2048)
    assert [chunk_of(among(items), CPU) for items in (100, 50_000)] == [512, 150]
    assert [chunk_of(among(items), OTHER) for items in (100, 50_000)] == [8192, 2000]


@sequences
def test_a_sequence_backbone_scores_candidates_where_it_is(name, elsewhere, monkeypatch):
    model = SEQUENCE[name]().eval()
    monkeypatch.setattr(model, "represent", lambda history, user: model.completed(model.encode(history), user))
    user, candidates, history = (torch.zeros(shape, dtype=torch.long) for shape in ((5,), (5, 9), (5, 6)))

    scores = model.score(Questions(user=user, candidates=candidates, history=history))

    assert scores.device == OTHER
    assert scores.shape == (5, 9)


@pytest.mark.parametrize("kind", [NeuFM, DeepFM])
def test_a_factorisation_machine_steps_on_the_device(kind, elsewhere):
    model = kind(**SIZES, hidden=[8], init_std=0.1).train()
    history, own = torch.zeros(5, 6, dtype=torch.long), torch.zeros(5, 3, dtype=torch.long)

    loss = model.label_scores(history, own).sum() + model.label_scores(history, torch.zeros(4, dtype=torch.long)).sum()
    loss.backward()

    assert {parameter.grad.device for parameter in model.parameters()} == {OTHER}


class EveryNewTensorIsPlaced(TorchFunctionMode):
    """What `meta` cannot run, for want of values, runs on the CPU: a tensor made without a device would stay there."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in _device_constructors() and (kwargs or {}).get("device") is None:
            raise AssertionError(f"torch.{function.__name__} is not told on which device")
        return function(*args, **(kwargs or {}))


@sequences
def test_groups_of_like_length_and_the_catalogue_leave_nothing_on_the_cpu(name):
    model = SEQUENCE[name]().train()
    history = torch.tensor([[-1] * (6 - length) + [0] * length for length in range(7)])
    label, user, candidates = (
        torch.zeros(7, dtype=torch.long),
        torch.zeros(7, dtype=torch.long),
        torch.ones(7, 3).long(),
    )
    catalogues = torch.arange(20), torch.arange(1, 20)

    with EveryNewTensorIsPlaced():
        cross_entropy(model.represent(history, user), model.output, label, 30).backward()
        for offered in catalogues:
            assert model.score(Questions(user=user, catalogue=offered, history=history)).shape == (7, len(offered))
        assert model.score(Questions(user=user, candidates=candidates, history=history)).shape == (7, 3)


def test_a_tensor_made_without_a_device_is_found():
    with EveryNewTensorIsPlaced():
        assert torch.arange(3, device=CPU).sum() == 3
        with pytest.raises(AssertionError, match="arange"):
            torch.arange(3)


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """A machine that claims to have one GPU; the devices that torch was told to use."""
    used: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: used.append(torch.device(device)))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    monkeypatch.setattr("pytorch_lightning.accelerators.cuda._check_cuda_matmul_precision", lambda device: None)
    return used


@pytest.mark.parametrize("asked", ["auto", "cuda"])
def test_a_gpu_is_named_with_its_index(asked: str, one_gpu: list[torch.device]) -> None:
    assert device_named(asked) == torch.device("cuda", 0)


def test_lightning_takes_the_gpu_that_the_engine_names(one_gpu: list[torch.device]) -> None:
    """Lightning calls `set_device`, which refuses a device without an index."""
    device = device_named("auto")
    trainer = Fitter(device, torch.Generator(), "32-true")._trainer(1)

    trainer.strategy._lightning_module = torch.nn.Linear(1, 1)
    trainer.strategy.accelerator.setup_device(trainer.strategy.root_device)

    assert used_once(one_gpu) == torch.device("cuda", 0)


def used_once(used: list[torch.device]) -> torch.device:
    (device,) = used
    return device
