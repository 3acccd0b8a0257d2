"""Stages of SML against the same algorithm written by hand: loops, losses and Adam in plain torch, on the same batches.

The arrays of README.md are of single steps; this is their order: what is fitted from where, what is blended when, and
which moments live on. By hand means in the words of docs/methods/sml.md (a), (d), (e) and T1, with none of the
package's classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from recretrain.engine.fitter import Fitter
from recretrain.engine.seeds import seed_task
from recretrain.methods.sml import SML
from recretrain.testing import case

TABLES = ("user", "item")
LOOPS, PERIODS = 2, 3  # rounds of a stage; periods learned after the warm-up
FRESH_RATE, REG, TRANSFER_RATE, WEIGHT_DECAY = 0.01, 1e-3, 0.001, 1e-4
Tables = dict[str, Tensor]
Theta = dict[str, dict[str, Tensor]]


class Recording(Fitter):
    """Fits, and keeps the batches of every fit."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.fits: list[list[tuple[Tensor, ...]]] = []

    def __call__(self, objective, data, *, epochs):
        self.fits.append([])
        super().__call__(objective, _Kept(data, self.fits[-1]), epochs=epochs)


class _Kept:
    def __init__(self, data, into) -> None:
        self.data, self.into = data, into

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        for batch in self.data:
            self.into.append(batch)
            yield batch


class Adam:
    """The formulas of Kingma and Ba, with coupled weight decay."""

    def __init__(self, rate: float, decay: float = 0.0) -> None:
        self.rate, self.decay, self.steps = rate, decay, 0
        self.m: dict[int, Tensor] = {}
        self.v: dict[int, Tensor] = {}

    def step(self, weights: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        self.steps += 1
        pairs = zip(weights, gradients, strict=True)
        return [self._moved(place, w, g + self.decay * w) for place, (w, g) in enumerate(pairs)]

    def _moved(self, place: int, weight: Tensor, gradient: Tensor) -> Tensor:
        self.m[place] = 0.9 * self.m.get(place, torch.zeros_like(weight)) + 0.1 * gradient
        self.v[place] = 0.999 * self.v.get(place, torch.zeros_like(weight)) + 0.001 * gradient**2
        m, v = self.m[place] / (1 - 0.9**self.steps), self.v[place] / (1 - 0.999**self.steps)
        return (weight - self.rate * m / (v.sqrt() + 1e-8)).detach()


def gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def f(theta: dict[str, Tensor], w: Tensor, v: Tensor) -> Tensor:
    product = w * v.detach() / w.norm(dim=1, keepdim=True)
    stacked = torch.stack([w, v, product], 1).unsqueeze(1)  # [R, 1, 3, d]
    first = gelu(F.conv2d(stacked, theta["conv.0.weight"], theta["conv.0.bias"]))  # [R, 10, 1, d]
    second = gelu(F.conv2d(first, theta["conv.1.weight"], theta["conv.1.bias"]))  # [R, 5, 1, d]
    hidden = gelu(second.flatten(1) @ theta["fc1.weight"].T + theta["fc1.bias"])
    return hidden @ theta["fc2.weight"].T + theta["fc2.bias"]


def l0(theta: Theta, w: Tables, v: Tables, batch: tuple[Tensor, ...]) -> Tensor:
    user, positive, negative = batch
    u = f(theta["user"], w["user"][user], v["user"][user])
    i, j = (f(theta["item"], w["item"][item], v["item"][item]) for item in (positive, negative))
    liked, left = torch.sigmoid((u * i).sum(1)), torch.sigmoid((u * j).sum(1))
    return -torch.log(liked + 1e-15).mean() - torch.log(1 - left + 1e-15).mean()


def fresh_fit(theta: Theta, w: Tables, start: Tables, batches: list[Any], adam: Adam) -> Tables:
    v = dict(start)
    for batch in batches:
        leaves = {name: v[name].clone().requires_grad_() for name in TABLES}
        user, positive, negative = batch
        rows = (leaves["user"][user], leaves["item"][positive], leaves["item"][negative])
        loss = l0(theta, w, leaves, batch) + REG * 0.5 * sum((row**2).sum() for row in rows)
        gradients = torch.autograd.grad(loss, list(leaves.values()))
        v = dict(zip(TABLES, adam.step([v[name] for name in TABLES], list(gradients)), strict=True))
    return v


def lesson(theta: Theta, w: Tables, v: Tables, batches: list[Any], adam: Adam) -> Theta:
    names = [(table, name) for table in TABLES for name in theta[table]]
    for batch in batches:
        leaves = {table: {n: p.clone().requires_grad_() for n, p in theta[table].items()} for table in TABLES}
        gradients = torch.autograd.grad(l0(leaves, w, v, batch), [leaves[table][name] for table, name in names])
        moved = adam.step([theta[table][name] for table, name in names], list(gradients))
        theta = {table: {n: p for (t, n), p in zip(names, moved, strict=True) if t == table} for table in TABLES}
    return theta


def blend(theta: Theta, w: Tables, v: Tables) -> Tables:
    return {name: f(theta[name], w[name], v[name]).detach() for name in TABLES}


def by_hand(theta: Theta, served: Tables, fits: list[list[Any]], *, own: bool) -> list[tuple[Tables, Theta]]:
    """What is served after each period, and Theta."""
    fits, ends = list(fits), []
    w, v = served, served
    fresh_adam, transfer_adam = Adam(FRESH_RATE), Adam(TRANSFER_RATE, WEIGHT_DECAY)
    for period in range(PERIODS):
        if period:  # the rest of yesterday's stage: w and v are yesterday's, the lessons are today's rows
            for loop in range(LOOPS):
                if loop:
                    v = fresh_fit(theta, w, v if own else served, fits.pop(0), fresh_adam)
                theta = lesson(theta, w, v, fits.pop(0), transfer_adam)
                served = blend(theta, w, v)
        w = served
        v = fresh_fit(theta, w, served, fits.pop(0), fresh_adam)
        served = blend(theta, w, v)
        ends.append((served, theta))
    assert fits == []
    return ends


@pytest.mark.parametrize("continues_from", ["transferred", "own"])
def test_three_periods_of_two_rounds_are_those_written_by_hand(continues_from: str, tmp_path) -> None:
    found = case(
        "sml",
        f"method.continues_from={continues_from}",
        f"method.loops={LOOPS}",
        f"method.fresh.learning_rate={FRESH_RATE}",
        f"method.fresh.reg={REG}",
        "method.fresh.batch_size=64",
        f"method.transfer.learning_rate={TRANSFER_RATE}",
        f"method.transfer.weight_decay={WEIGHT_DECAY}",
        "method.transfer.batch_size=64",
    )
    stream = found.stream(tmp_path / "s")
    method = found.method(stream)
    assert isinstance(method, SML)
    first, *later = found.tasks(stream)
    device = torch.device("cpu")
    method.update(first, Fitter(device, seed_task(0, 0, device), "32-true"))
    method.backbone.double()
    method.transfer.nets.double()
    served, theta = tables(method), weights(method)
    fits, ends = [], []
    for task in later[:PERIODS]:
        fit = Recording(device, seed_task(0, task.index, device), "32-true")
        method.update(task, fit)
        fits += fit.fits
        ends.append((tables(method), weights(method)))

    expected = by_hand(theta, served, fits, own=continues_from == "own")

    assert len(fits) == PERIODS + (PERIODS - 1) * (2 * LOOPS - 1)
    for (rows, net), (expected_rows, expected_net) in zip(ends, expected, strict=True):
        for table in TABLES:
            torch.testing.assert_close(rows[table], expected_rows[table], atol=1e-8, rtol=1e-6)
            for name, weight in expected_net[table].items():
                torch.testing.assert_close(net[table][name], weight, atol=1e-8, rtol=1e-6)


def tables(method: SML) -> Tables:
    return {name: table.detach().clone() for name, table in method.backbone.state_dict().items()}


def weights(method: SML) -> Theta:
    return {
        table: {name: p.detach().clone() for name, p in method.transfer.net(table).named_parameters()}
        for table in TABLES
    }
