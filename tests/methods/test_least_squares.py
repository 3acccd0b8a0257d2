"""Many small least squares at once, against each solved by itself."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from recretrain.data.interactions import Interactions
from recretrain.methods.parts import least_squares
from recretrain.methods.parts.factorising import Neighbours, Rows, Tables, alternate
from recretrain.methods.parts.least_squares import Grouped
from recretrain.methods.parts.mappings import LinearMap, NearestMap, Scale, ridge


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator(), dtype=torch.float64)


@pytest.mark.parametrize("rows_at_once", [1, 6, 1 << 17])
def test_each_owner_has_the_solution_of_his_own_normal_equations(rows_at_once: int, monkeypatch) -> None:
    monkeypatch.setattr(least_squares, "_ROWS", rows_at_once)
    owner = torch.tensor([4, 1, 1, 7, 1, 4, 4, 4, 4, 9])
    features, of = drawn(6, 3), torch.tensor([0, 1, 2, 3, 4, 5, 0, 1, 2, 3])
    target, weight = drawn(10), torch.linspace(0.5, 2, 10).double()
    penalty, prior = torch.tensor([0.3, 1.0, 2.0, 5.0]).double(), drawn(4, 3)

    grouped = Grouped(owner)
    found = grouped.solve(features, of, target, weight, penalty, prior)

    assert grouped.ids.tolist() == [1, 4, 7, 9]
    for place, who in enumerate([1, 4, 7, 9]):
        mine = (owner == who).numpy()
        x, t, w = features[of].numpy()[mine], target.numpy()[mine], weight.numpy()[mine]
        left = x.T @ (w[:, None] * x) + penalty[place].item() * np.eye(3)
        right = x.T @ (w * t) + penalty[place].item() * prior[place].numpy()
        assert np.allclose(found[place].numpy(), np.linalg.solve(left, right))


def ratings() -> Interactions:
    user = torch.tensor([0, 0, 1, 1, 2, 2, 2, 4])
    item = torch.tensor([0, 1, 1, 2, 0, 2, 3, 3])
    return Interactions(user, item, {"rating": torch.tensor([5.0, 3.0, 4.0, 1.0, 2.0, 2.0, 5.0, 4.0])})


def objective(rows: Rows, tables: Tables, penalty: float) -> float:
    u, i = tables.user[rows.user], tables.item[rows.item]
    error = rows.above - u[:, 0] - i[:, 0] - (u[:, 1:] * i[:, 1:]).sum(1)
    return float((rows.weight * error**2).sum() + penalty * (tables.user**2).sum() + penalty * (tables.item**2).sum())


def test_sweeps_lower_the_error_until_its_gradient_is_zero() -> None:
    rows, mean = Rows.of(ratings())
    assert float(mean) == pytest.approx(3.25)
    start = Tables.zeros((5, 4), 2, torch.device("cpu"))

    fits = [alternate(rows, start, penalty=0.5, sweeps=n, generator=generator()) for n in (1, 2, 4, 400)]

    errors = [objective(rows, fit, 0.5) for fit in fits]
    assert errors == sorted(errors, reverse=True)
    leaves = Tables(*(table.clone().requires_grad_() for table in fits[-1]))
    u, i = leaves.user[rows.user], leaves.item[rows.item]
    error = rows.above - u[:, 0] - i[:, 0] - (u[:, 1:] * i[:, 1:]).sum(1)
    total = (error**2).sum() + 0.5 * (leaves.user**2).sum() + 0.5 * (leaves.item**2).sum()
    total.backward()
    assert float(leaves.user.grad.abs().max()) < 1e-6
    assert float(leaves.item.grad.abs().max()) < 1e-6


def test_users_and_items_without_rows_keep_what_they_have() -> None:
    rows, _ = Rows.of(ratings())
    start = Tables(drawn(5, 3), drawn(6, 3))

    made = alternate(rows, start, penalty=1.0, sweeps=3, generator=generator())

    assert torch.equal(made.user[3], start.user[3])
    assert torch.equal(made.item[4:], start.item[4:])
    assert not torch.equal(made.user[0], start.user[0])


def test_users_that_are_pulled_together_end_nearer_and_by_the_equation_of_the_pull() -> None:
    rows, _ = Rows.of(ratings())
    start = Tables.zeros((5, 4), 2, torch.device("cpu"))
    pair = Neighbours(torch.tensor([0, 2]), torch.tensor([2, 0]), torch.tensor([0.5, 0.5]).double())

    apart = alternate(rows, start, penalty=0.5, sweeps=200, generator=generator())
    near = alternate(rows, start, penalty=0.5, sweeps=1000, generator=generator(), alike=pair, pull=4.0)

    def distance(made: Tables) -> float:
        return float((made.user[0] - made.user[2]).norm())

    assert distance(near) < 0.5 * distance(apart)
    u, i = near.user[rows.user], near.item[rows.item]
    error = rows.above - u[:, 0] - i[:, 0] - (u[:, 1:] * i[:, 1:]).sum(1)
    ones = torch.cat([torch.ones(len(i), 1), i[:, 1:]], 1)
    mine = rows.user == 0
    gradient = -(error[mine].unsqueeze(1) * ones[mine]).sum(0) + 0.5 * near.user[0]
    gradient += 4.0 * 0.5 * (near.user[0] - near.user[2])
    assert torch.allclose(gradient, torch.zeros(3).double(), atol=1e-4)


def test_the_linear_map_is_ridge_regression_on_scaled_columns() -> None:
    source, target = drawn(30, 4) * torch.tensor([1.0, 5.0, 0.1, 2.0]), drawn(30, 4).flip(0)

    mapped = LinearMap(penalties=[1.0]).fit(source, target, {"map_penalty": 7.0}, None)

    scaled = (source - source.mean(0)) / source.std(0, correction=0)
    other = Ridge(alpha=7.0).fit(scaled.numpy(), target.numpy())
    assert np.allclose(mapped(source).numpy(), other.predict(scaled.numpy()))


def test_each_user_has_a_weighted_ridge_on_those_most_like_him() -> None:
    source, target, users = drawn(40, 3), drawn(40, 3).flip(0), drawn(43, 3)[40:]
    setting = {"neighbours": 10, "map_penalty": 2.0}

    mapped = NearestMap(neighbours=[10], penalties=[2.0]).fit(source, target, setting, None)

    scale = Scale.of(source)
    for user, found in zip(users, mapped(users), strict=True):
        a, b = source[:, 1:].numpy(), user[1:].numpy()
        cosine = a @ b / np.linalg.norm(a, axis=1) / np.linalg.norm(b)
        best = np.argsort(-cosine)[:10]
        inputs = scale.into(source).numpy()[best]
        other = Ridge(alpha=2.0).fit(inputs, target.numpy()[best], sample_weight=(1 + cosine[best]) / 2)
        assert np.allclose(found.numpy(), other.predict(scale.into(user.unsqueeze(0)).numpy())[0])


def test_a_map_of_nobody_maps_nobody() -> None:
    nobody = torch.zeros(0, 3).double()

    assert (
        NearestMap(neighbours=[5], penalties=[1.0])
        .fit(nobody, nobody, {"neighbours": 5, "map_penalty": 1.0}, None)(drawn(2, 3))
        .tolist()
        == [[0.0] * 3] * 2
    )
    linear = LinearMap(penalties=[1.0]).fit(nobody, nobody, {"map_penalty": 1.0}, None)
    assert linear(drawn(2, 3)).tolist() == [[0.0] * 3] * 2


def test_ridge_counts_rows_by_their_weight() -> None:
    x, y = drawn(1, 6, 2), drawn(1, 6, 1)
    twice = torch.cat([x, x[:, :3]], 1), torch.cat([y, y[:, :3]], 1)

    weighted = ridge(x, y, torch.tensor([[2.0, 2, 2, 1, 1, 1]]).double(), 0.5)

    assert torch.allclose(weighted, ridge(*twice, torch.ones(1, 9).double(), 0.5))
