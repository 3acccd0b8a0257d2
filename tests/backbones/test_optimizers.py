"""Rows that a step moves, and those that it leaves, against the formulas and against torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from recretrain.backbones.optimizers import DenseAdam, RowAdam, RowSGD, TensorFlowAdam, optimizer_of
from recretrain.backbones.tables import add_to_gradient, gradient_of

ROWS, SIZE, RATE = 300, 5, 0.1
STEPS = [[3, 70, 3], [70, 1], [131, 3], [5]]  # ids that each step reads


def table() -> nn.Parameter:
    return nn.Parameter(torch.randn(ROWS, SIZE, generator=torch.Generator().manual_seed(1)))


def slopes(step: int) -> Tensor:
    return torch.randn(len(STEPS[step]), SIZE, generator=torch.Generator().manual_seed(step + 10))


def write(weight: nn.Parameter, step: int) -> None:
    add_to_gradient(weight, torch.tensor(STEPS[step]), slopes(step))


def plain(weight: nn.Parameter, step: int) -> Tensor:
    return torch.zeros_like(weight).index_add_(0, torch.tensor(STEPS[step]), slopes(step))


def trained(optimizer: Optimizer, weight: nn.Parameter, steps: int = len(STEPS)) -> Tensor:
    for step in range(steps):
        optimizer.zero_grad()
        write(weight, step)
        optimizer.step()
    return weight.detach()


def test_a_row_moves_by_adam_when_it_is_read_and_rests_when_it_is_not():
    """m, v and w of the rows of a step only; t counts the table's steps."""
    weight = table()
    w, m, v = weight.detach().double(), torch.zeros(ROWS, SIZE).double(), torch.zeros(ROWS, SIZE).double()
    for step, ids in enumerate(STEPS):
        rows, g = sorted(set(ids)), plain(weight, step).double()
        m[rows] = 0.9 * m[rows] + 0.1 * g[rows]
        v[rows] = 0.999 * v[rows] + 0.001 * g[rows] ** 2
        ahead = m[rows] / (1 - 0.9 ** (step + 1))
        w[rows] -= RATE * ahead / ((v[rows] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8)

    found = trained(RowAdam([weight], learning_rate=RATE), weight)

    torch.testing.assert_close(found.double(), w, atol=1e-6, rtol=1e-6)
    never = [row for row in range(ROWS) if all(row not in ids for ids in STEPS)]
    assert torch.equal(found[never], table().detach()[never])


def test_rows_read_in_every_step_move_as_by_adam_over_whole_tables():
    dense, rows = table(), table()
    by = DenseAdam([dense], learning_rate=RATE), RowAdam([rows], learning_rate=RATE)
    for step in range(3):
        for weight, adam in zip((dense, rows), by, strict=True):
            adam.zero_grad()
            add_to_gradient(weight, torch.tensor([7, 9]), torch.full((2, SIZE), 0.5 - step))
            adam.step()

    assert torch.equal(dense, rows)


@pytest.mark.parametrize("kind", [RowAdam, RowSGD])
def test_a_gradient_that_is_written_as_a_whole_moves_all_rows(kind: type[Optimizer]):
    weight, other = table(), nn.Parameter(table().detach().clone())
    optimizer = kind([weight], learning_rate=RATE)
    reference = Adam([other], lr=RATE, fused=True) if kind is RowAdam else SGD([other], lr=RATE)
    gradient_of(weight).add_(0.25)
    other.grad = torch.full_like(other, 0.25)

    optimizer.step()
    reference.step()

    assert torch.equal(weight, other)
    assert not torch.isclose(weight, table()).any()


def test_plain_steps_are_those_of_sgd():
    weight, other = table(), table()
    reference = SGD([other], lr=RATE)
    for step in range(len(STEPS)):
        other.grad = plain(other, step)
        reference.step()

    found = trained(RowSGD([weight], learning_rate=RATE), weight)

    torch.testing.assert_close(found, other.detach(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", [RowAdam, RowSGD])
def test_rows_beside_a_gradient_of_the_whole_are_part_of_it(kind: type[Optimizer]):
    weight, other = table(), table()
    optimizer = kind([weight], learning_rate=RATE)
    reference = Adam([other], lr=RATE, fused=True) if kind is RowAdam else SGD([other], lr=RATE)
    optimizer.zero_grad()
    write(weight, 0)
    gradient_of(weight).add_(0.25)
    other.grad = plain(other, 0) + 0.25

    optimizer.step()
    reference.step()

    torch.testing.assert_close(weight, other)


@pytest.mark.parametrize("kind", [RowAdam, RowSGD])
def test_after_a_step_gradients_are_added_up_again(kind: type[Optimizer]):
    """Another optimiser may follow, which knows nothing of rows that are kept apart."""
    weight = table()
    trained(kind([weight], learning_rate=RATE), weight)

    write(weight, 0)

    assert torch.equal(weight.grad.as_subclass(Tensor), plain(weight, 0))


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_adam_over_whole_tables_leaves_out_no_row_that_moves(decay: float):
    """Bit for bit torch's own, also where moments are loaded, and where rows behind the last come to be read."""
    weight, other = table(), table()
    adam = DenseAdam([weight], learning_rate=RATE, weight_decay=decay)
    reference = Adam([other], lr=RATE, weight_decay=decay, fused=True)
    for step in range(len(STEPS)):
        if step == 2:
            state, adam = adam.state_dict(), DenseAdam([weight], learning_rate=RATE, weight_decay=decay)
            adam.load_state_dict(state)
        adam.zero_grad()
        write(weight, step)
        other.grad = plain(other, step)
        adam.step()
        reference.step()
        assert torch.equal(weight, other), step

    for name, moment in reference.state[other].items():
        assert torch.equal(adam.state[weight][name], moment), name


def test_adam_over_whole_tables_passes_over_what_was_never_read(monkeypatch: pytest.MonkeyPatch):
    from recretrain.backbones import optimizers

    moved, real = [], optimizers.adam
    monkeypatch.setattr(
        optimizers, "adam", lambda w, *rest, **named: moved.append(len(w[0])) or real(w, *rest, **named)
    )
    weight = table()

    trained(DenseAdam([weight], learning_rate=RATE), weight)

    assert moved == [128, 128, 192, 192]  # 71 and 132 rows, whole tiles


def test_a_step_without_rows_moves_none():
    weight = table()
    for kind in (RowAdam, RowSGD, DenseAdam):
        optimizer = kind([weight], learning_rate=RATE)
        gradient_of(weight)
        optimizer.step()

    assert torch.equal(weight, table())


@pytest.mark.parametrize("shape", [(), (3,), (3, 2, 2)])
def test_what_is_no_table_moves_whole(shape: tuple[int, ...]):
    weight, other = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.ones(shape))
    adam, reference = DenseAdam([weight], learning_rate=RATE), Adam([other], lr=RATE, fused=True)
    for _ in range(2):
        state, adam = adam.state_dict(), DenseAdam([weight], learning_rate=RATE)
        adam.load_state_dict(state)
        adam.zero_grad()
        gradient_of(weight).add_(0.5)
        other.grad = torch.full(shape, 0.5)
        adam.step()
        reference.step()

    assert torch.equal(weight, other)
    assert not torch.equal(weight, torch.ones(shape))


@pytest.mark.parametrize("name", ["dense", "rows", "sgd"])
def test_other_parameters_move_and_lose_their_gradients(name: str):
    weight, bias = table(), nn.Parameter(torch.ones(3))
    optimizer = optimizer_of(name, [weight, bias], learning_rate=RATE)
    optimizer.zero_grad()
    write(weight, 0)
    bias.grad = torch.ones(3)

    optimizer.step()
    optimizer.zero_grad()

    assert torch.allclose(bias, torch.full((3,), 1 - RATE))
    assert bias.grad is None
    assert weight.grad is None or not weight.grad.any()
    assert not torch.isclose(weight[[3, 70]], table()[[3, 70]]).any()


@pytest.mark.parametrize("kind", [RowAdam, DenseAdam, TensorFlowAdam, RowSGD])
def test_a_saved_optimizer_goes_on_bit_for_bit(kind: type[Optimizer]):
    whole = table()
    unbroken = trained(kind([whole], learning_rate=RATE), whole).clone()

    weight = table()
    first = kind([weight], learning_rate=RATE)
    trained(first, weight, steps=2)
    second = kind([weight], learning_rate=RATE)
    second.load_state_dict(first.state_dict())
    for step in range(2, len(STEPS)):
        second.zero_grad()
        write(weight, step)
        second.step()

    assert torch.equal(weight, unbroken)
