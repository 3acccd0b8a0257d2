"""What a transfer is before its first lesson, and what its gate may do."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from recretrain.engine.fitter import Fitter
from recretrain.methods.parts.fresh_start import FreshStart
from recretrain.methods.parts.transfer import DimensionGate, Gate, Gated, PerDimension, Released, RowGate, Transfer


def rows(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    served, change = (torch.randn(2000, 8, generator=generator) for _ in range(2))
    return 0.2 * served, 0.2 * served + 0.06 * change


def released(start: FreshStart | None = None) -> Released:
    return Released(filters=[10, 5], hidden=32, product=True, detach_product=True, epsilon=1e-12, start=start)


def fitter(seed: int = 0) -> Fitter:
    return Fitter(torch.device("cpu"), torch.Generator().manual_seed(seed), "32-true")


def error(transfer: Transfer, seed: int) -> float:
    """Of f(w, v) as an estimate of v, as a share of how far v is from w."""
    served, fresh = rows(seed)
    with torch.no_grad():
        return float((transfer(served, fresh) - fresh).pow(2).mean() / (fresh - served).pow(2).mean())


@pytest.mark.parametrize("network", [Gated(hidden=16, bound=2.0), Gated(hidden=16, bound=5.0), PerDimension()], ids=str)
def test_a_gate_begins_by_serving_the_fresh_rows_to_the_last_bit(network):
    served, fresh = rows()
    table = served.clone()

    network.made(8).blend_into(table, served, fresh)

    assert torch.equal(table, fresh)


@pytest.mark.parametrize(
    ("bound", "logit", "gate"),
    [
        (2.0, -40.0, 0.0), (2.0, 0.0, 1.0), (2.0, 40.0, 2.0), (2.0, 1.0, 2 / (1 + math.exp(-1.0))),
        (5.0, -40.0, 0.0), (5.0, 0.0, 1.0), (5.0, 140.0, 5.0), (5.0, -1.0, 2 / (1 + math.exp(1.0))),
        (5.0, 4.0, 1 + 4 * (2 / (1 + math.exp(-1.0)) - 1)), (1.5, 40.0, 1.5),
    ],
)  # fmt: skip
def test_a_gate_serves_the_old_row_the_fresh_one_or_as_far_beyond_it(bound, logit, gate):
    net, (served, fresh) = RowGate(embedding_size=8, hidden=16, bound=bound), rows()
    with torch.no_grad():
        net.fc2.bias.fill_(logit)
        blended = net(served, fresh)

    torch.testing.assert_close(blended, served + gate * (fresh - served))
    torch.testing.assert_close(net.mean(served, fresh), torch.full((2000,), gate))


def test_a_gate_sees_each_row_by_itself():
    net, (served, fresh) = RowGate(embedding_size=8, hidden=16, bound=2.0), rows()
    with torch.no_grad():
        net.fc2.weight.normal_(generator=torch.Generator().manual_seed(1))
        every, alone = net(served, fresh), net(served[3:4], fresh[3:4])

    assert net.mean(served, fresh).std() > 0
    torch.testing.assert_close(every[3:4], alone)


@pytest.mark.parametrize("made", [RowGate(embedding_size=8, hidden=16, bound=3.0), DimensionGate(embedding_size=8)])
def test_a_gate_learns_how_far_to_go(made: Gate):
    served, fresh = rows()
    adam = torch.optim.Adam(made.parameters(), lr=0.05)
    for _ in range(200):
        adam.zero_grad()
        (made(served, fresh) - (served + 0.4 * (fresh - served))).pow(2).sum().backward()
        adam.step()

    torch.testing.assert_close(made.mean(served, fresh).mean(), torch.tensor(0.4), atol=0.03, rtol=0)


def test_rows_that_did_not_move_have_finite_gradients():
    """A length of zero has no slope, and must not have NaN for one."""
    net, (served, _) = RowGate(embedding_size=8, hidden=16, bound=2.0), rows()
    with torch.no_grad():
        net.fc2.weight.normal_(generator=torch.Generator().manual_seed(1))
    fresh = served.clone().requires_grad_()

    net(served, fresh).sum().backward()

    assert torch.isfinite(fresh.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_a_network_with_a_fresh_start_gives_back_fresh_rows_it_has_not_seen():
    torch.manual_seed(0)
    start = FreshStart(steps=300, rows=512, noise=0.3, learning_rate=0.003)
    cold, taught = released().made(8), released(start).made(8)
    released().begin(cold, rows(0)[0], fitter())
    released(start).begin(taught, rows(0)[0], fitter())

    assert error(cold, 1) > 5
    assert error(taught, 1) < 0.15


def test_a_fresh_start_depends_on_the_fit_s_random_numbers_alone():
    start = FreshStart(steps=3, rows=16, noise=0.3, learning_rate=0.003)
    ends = []
    for seed, noise in ((0, 1), (0, 2), (5, 1)):
        torch.manual_seed(0)
        net = released(start).made(8)
        torch.manual_seed(noise)
        released(start).begin(net, rows(0)[0], fitter(seed))
        ends.append(net.fc1.weight.detach().clone())

    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
