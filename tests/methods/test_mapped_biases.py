"""Biases that are carried from one domain to another, against arithmetic by hand."""

import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.data.kinds import ColdUserRatings
from recretrain.methods.cross_domain import Domains
from recretrain.methods.parts.biases import BiasTransfer, shrunk, transferred
from recretrain.methods.parts.search import settings


def rows(*triples: tuple[int, int, float]) -> Interactions:
    user, item, rating = zip(*triples, strict=True)
    return Interactions(torch.tensor(user), torch.tensor(item), {"rating": torch.tensor(rating)})


# users 0 and 1 are common, user 2 is of the source alone; items 0, 1 of the source, 2, 3 of the target
DOMAINS = Domains(
    rows((0, 0, 5.0), (0, 1, 5.0), (1, 0, 1.0), (1, 1, 1.0), (2, 0, 4.0), (2, 1, 2.0)),
    rows((0, 2, 5.0), (0, 3, 4.0), (1, 2, 3.0), (1, 3, 2.0)),
)


def test_biases_are_sums_of_deviations_over_numbers_and_shrinkage() -> None:
    found = shrunk(DOMAINS.source, (3, 4), item_shrinkage=2.0, user_shrinkage=1.0)

    assert float(found.mean) == 3.0
    assert found.item.tolist() == pytest.approx([1 / 5, -1 / 5, 0, 0])  # (2 - 2 + 1) / (3 + 2), (2 - 2 - 1) / (3 + 2)
    assert found.user.tolist() == pytest.approx([4 / 3, -4 / 3, 0])


def test_the_slope_is_fitted_to_the_target_rows_of_common_users() -> None:
    found = transferred(DOMAINS, (3, 4), item_shrinkage=0.0, user_shrinkage=2.0)

    # target: mean 3.5, items 4 and 3 in the mean; users stand 1 above and 1 below; source: 2, -2 and 0, halved
    assert float(found.slope) == pytest.approx(1.0)
    assert found.user.tolist() == pytest.approx([1.0, -1.0, 0.0])
    assert found.predict(torch.tensor([0, 2]), torch.tensor([2, 3])).tolist() == pytest.approx([5.0, 3.0])


def test_shrinkages_are_chosen_by_held_out_ratings() -> None:
    held_out = ColdUserRatings(
        period=0, user=torch.tensor([0]), items=torch.tensor([[3]]), labels=torch.tensor([[4.0]])
    )
    search = BiasTransfer(item_shrinkages=[0.0, 1000.0], user_shrinkages=[2.0]).fit(
        DOMAINS, held_out, (3, 4), mapped=True
    )

    assert search.setting["item_shrinkage"] == 0.0
    assert search.error == pytest.approx(0.0)
    notes = {note.name: note.value for note in search.notes()}
    assert notes == pytest.approx({"valid_mse": 0.0, "item_shrinkage": 0.0, "user_shrinkage": 2.0, "slope": 1.0})


def test_of_equals_the_first_setting_is_kept_and_without_held_out_ratings_the_middle() -> None:
    grid = {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0]}

    assert settings(grid, held_out=False) == [{"a": 2.0, "b": 5.0}]
    assert len(settings(grid, held_out=True)) == 6
    search = BiasTransfer(item_shrinkages=[0.0, 1.0, 7.0], user_shrinkages=[2.0]).fit(
        DOMAINS, None, (3, 4), mapped=True
    )
    assert search.setting["item_shrinkage"] == 1.0
    assert "valid_mse" not in {note.name for note in search.notes()}


def test_without_common_users_the_slope_is_zero() -> None:
    apart = Domains(DOMAINS.source, rows((3, 2, 5.0), (4, 3, 4.0)))

    assert float(transferred(apart, (5, 4), item_shrinkage=1.0, user_shrinkage=1.0).slope) == 0.0


def test_items_biases_are_chosen_alone_where_no_bias_of_users_is_mapped() -> None:
    held_out = ColdUserRatings(
        period=0, user=torch.tensor([0]), items=torch.tensor([[3]]), labels=torch.tensor([[3.2]])
    )

    search = BiasTransfer(item_shrinkages=[0.0, 3.0], user_shrinkages=[2.0]).fit(
        DOMAINS, held_out, (3, 4), mapped=False
    )

    assert search.setting["item_shrinkage"] == 3.0  # 3.5 - 0.5 x 2 / 5 = 3.3, and 3.0 without
    assert search.best.user.tolist() == [0.0, 0.0, 0.0]
