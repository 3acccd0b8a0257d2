"""Code that serves a GPU, as far as a machine without one can show it.

Tensors of another device without storage (`meta`) refuse to mix with the CPU's, so a tensor left behind is found. Fake
tensors that claim to be on `cuda` would be nearer the thing, but a torch built without CUDA refuses to index them.
"""

import pytest
import torch
from contract import CPU, maker, stream_of, tasks

from recretrain.backbones.mf import MF
from recretrain.backbones.tables import DenseAdam
from recretrain.data.stream import Questions
from recretrain.evaluation.evaluator import half_ranks
from recretrain.methods.objectives import LogLoss
from recretrain.methods.parts.transfer import Transfer
from recretrain.methods.sml import FreshObjective, TransferObjective, copy_tables

OTHER = torch.device("meta")


@pytest.fixture
def elsewhere():
    with OTHER:
        yield


def mf() -> MF:
    return MF(n_users=20, n_items=30, embedding_size=8, init_std=0.1)


def triples() -> tuple[torch.Tensor, ...]:
    return tuple(torch.zeros(6, dtype=torch.long) for _ in range(3))


def step(objective, adam) -> torch.Tensor:
    adam.zero_grad()
    loss = objective.training_step(triples(), 0)
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
            name: Transfer(embedding_size=8, filters=[4], hidden=8, product=True, detach_product=True, epsilon=1e-12)
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
    sampled = Questions(user, torch.zeros(5, 9, dtype=torch.long), None)

    assert mf().score(sampled).device == OTHER
    assert MF(n_users=20, n_items=3000, embedding_size=8, init_std=0.1).score(sampled).device == OTHER


def test_a_tensor_left_on_the_cpu_is_found():
    with OTHER:
        model = mf()
    objective = LogLoss(model, None, reg=0.0)
    model.item = torch.nn.Parameter(torch.zeros(30, 8))

    with pytest.raises(RuntimeError, match="device"):
        objective.training_step(tuple(torch.zeros(6, dtype=torch.long) for _ in range(3)), 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["sml", "fine_tune", "full_retrain", "spmf", "popularity"])
def test_a_method_learns_and_answers_on_a_gpu(name, tmp_path):
    from recretrain.engine.fitter import Fitter
    from recretrain.engine.seeds import seed_task

    cuda = torch.device("cuda")
    method = maker(name)()
    method.backbone.to(cuda)
    for task in tasks(stream_of(tmp_path / "s")):
        method.update(task, Fitter(cuda, seed_task(0, task.index, cuda), "32-true"))
        for test in task.tests().values():
            assert half_ranks(method, test, cuda).device == CPU
    assert method.backbone.device == OTHER
