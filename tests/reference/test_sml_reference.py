"""The released implementation's own numbers (README.md beside this file); tolerances as published with them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recretrain.backbones.mf import MF
from recretrain.backbones.optimizers import DenseAdam
from recretrain.data.kinds import Questions, Rankings
from recretrain.data.vocabulary import Vocabulary
from recretrain.evaluation.metrics import ndcg, recall
from recretrain.evaluation.rankings import half_ranks
from recretrain.methods.parts.transfer import Convolutions
from recretrain.methods.sml import FreshObjective, TransferObjective

TABLES = ("user", "item")
NAMES = {"conv1": "conv.0", "conv2": "conv.1", "fc1": "fc1", "fc2": "fc2"}
PARAMETERS = [f"{layer}.{kind}" for layer in NAMES for kind in ("weight", "bias")]


@pytest.fixture(scope="module")
def golden() -> dict[str, Tensor]:
    with np.load(Path(__file__).with_name("sml.npz")) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


@pytest.fixture
def transfer(golden: dict[str, Tensor]) -> nn.ModuleDict:
    nets = nn.ModuleDict(
        {
            table: Convolutions(
                embedding_size=8, filters=[10, 5], hidden=512, product=True, detach_product=True, epsilon=1e-12
            )
            for table in TABLES
        }
    )
    for table in TABLES:
        nets[table].load_state_dict({ours(name): golden[f"theta.{table}.{name}"] for name in PARAMETERS})
    return nets


@pytest.fixture
def mf(golden: dict[str, Tensor]) -> MF:
    backbone = MF(vocabulary=Vocabulary.of(n_users=20, n_items=30), embedding_size=8, init_std=1.0)
    backbone.load_state_dict(rows(golden, "what"))
    return backbone


def ours(name: str) -> str:
    layer, kind = name.split(".")
    return f"{NAMES[layer]}.{kind}"


def rows(golden: dict[str, Tensor], which: str) -> dict[str, Tensor]:
    return {table: golden[f"{which}_{table}"].clone() for table in TABLES}


def close(actual: Tensor, expected: Tensor, *, atol: float = 1e-5, rtol: float = 1e-5) -> None:
    torch.testing.assert_close(actual.detach(), expected.to(actual.dtype), atol=atol, rtol=rtol)


def test_the_transfer_network_blends_every_row_like_the_released_one(golden, transfer):
    previous, fresh = rows(golden, "w"), rows(golden, "what")

    for table in TABLES:
        close(transfer[table](previous[table], fresh[table]), golden[f"f_{table}"], atol=1e-6)


def test_blending_a_whole_table_in_place_equals_blending_its_rows(golden, transfer):
    previous, table = golden["w_user"], golden["what_user"].clone()

    transfer["user"].blend_into(table, previous, table)

    close(table, golden["f_user"], atol=1e-6)


def test_two_fresh_steps_follow_the_released_losses_gradients_and_weights(golden, transfer, mf):
    learning_rate, reg = (float(x) for x in golden["hyper"][:2])
    adam = DenseAdam(list(mf.parameters()), learning_rate=learning_rate)
    objective = FreshObjective(mf, rows(golden, "w"), transfer, adam, reg=reg)

    for step in (1, 2):
        adam.zero_grad()
        loss = objective.loss(tuple(golden[f"what_batch{step}"].T))
        loss.backward()
        close(loss, golden[f"what_loss_{step}"])
        for table in TABLES:
            close(getattr(mf, table).grad, golden[f"what_grad_{table}_{step}"], atol=2e-6, rtol=1e-4)
        adam.step()
        for table in TABLES:
            close(getattr(mf, table), golden[f"what_after_{table}_{step}"], atol=5e-6, rtol=0)


def test_the_regularisation_is_the_loss_less_l0(golden, transfer, mf):
    batch = tuple(golden["what_batch1"].T)

    bare = FreshObjective(mf, rows(golden, "w"), transfer, None, reg=0.0).loss(batch)

    close(bare, golden["what_l0_1"])


def test_the_fresh_step_leaves_the_transfer_without_gradients(golden, transfer, mf):
    loss = FreshObjective(mf, rows(golden, "w"), transfer, None, reg=0.0).loss(tuple(golden["what_batch1"].T))
    loss.backward()

    assert all(p.grad is None and p.requires_grad for p in transfer.parameters())


def test_a_transfer_step_follows_the_released_loss_gradients_and_weights(golden, transfer):
    learning_rate, weight_decay = (float(x) for x in golden["hyper"][2:])
    adam = DenseAdam(list(transfer.parameters()), learning_rate=learning_rate, weight_decay=weight_decay)
    objective = TransferObjective(rows(golden, "w"), rows(golden, "what"), transfer, adam)

    loss = objective.loss(tuple(golden["theta_batch"].T))
    loss.backward()

    close(loss, golden["theta_loss"])
    for table in TABLES:
        parameters = dict(transfer[table].named_parameters())
        for name in PARAMETERS:
            close(parameters[ours(name)].grad, golden[f"theta_grad.{table}.{name}"], atol=2e-6, rtol=1e-4)
    adam.step()
    for table in TABLES:
        parameters = dict(transfer[table].named_parameters())
        for name in PARAMETERS:
            close(parameters[ours(name)], golden[f"theta_after.{table}.{name}"], atol=5e-6, rtol=0)
        blended = transfer[table](golden[f"w_{table}"], golden[f"what_{table}"])
        close(blended, golden[f"f_{table}_after_theta"])


def test_metrics_equal_the_released_ones(golden):
    mf = MF(vocabulary=Vocabulary.of(n_users=20, n_items=30), embedding_size=8, init_std=1.0)
    mf.load_state_dict({table: golden[f"eval_{table}"] for table in TABLES})
    questions = golden["eval_rows"]
    test = Rankings(period=0, user=questions[:, 0], labels=questions[:, 1], candidates=questions[:, 2:])

    rank = half_ranks(mf, test, torch.device("cpu")) / 2

    for metric, name in ((recall, "eval_recall"), (ndcg, "eval_ndcg")):
        figures = torch.stack([metric(rank, k).mean() for k in (5, 10, 20)])
        close(figures, golden[name], atol=1e-7, rtol=0)


def test_the_detached_product_passes_no_gradient_and_the_other_option_does():
    previous, fresh = torch.randn(4, 8), torch.randn(4, 8, requires_grad=True)
    gradients = []
    for detach in (True, False):
        torch.manual_seed(0)
        net = Convolutions(embedding_size=8, filters=[], hidden=16, product=True, detach_product=detach, epsilon=0.0)
        (gradient,) = torch.autograd.grad(net(previous, fresh).sum(), fresh)
        gradients.append(gradient)

    assert not torch.allclose(*gradients)


def test_scores_by_one_product_over_all_items_and_by_gathered_rows_agree():
    torch.manual_seed(0)
    few, many = (MF(vocabulary=Vocabulary.of(n_users=5, n_items=n), embedding_size=8, init_std=1.0) for n in (40, 400))
    many.load_state_dict({"user": few.user.data, "item": torch.cat([few.item.data, torch.randn(360, 8)])})
    questions = Questions(user=torch.arange(5), candidates=torch.randint(40, (5, 10)))

    assert torch.allclose(few.score(questions), many.score(questions), atol=1e-5)
