"""The methods that only count, by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from recretrain.backbones.biases import Biases
from recretrain.backbones.item_scores import ItemScores
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Questions, Ratings, Support, SupportedRatings
from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.popularity import Popularity
from recretrain.methods.rating_biases import RatingBiases

VOCABULARY = Vocabulary.of(n_users=3, n_items=3)


@dataclass
class Given:
    items: tuple[int, ...] = ()
    asked: Ratings | None = None

    def interactions(self) -> Interactions:
        return Interactions(torch.zeros(len(self.items), dtype=torch.long), torch.tensor(self.items))

    def questions(self) -> Ratings | None:
        return self.asked


class Here:
    device = torch.device("cpu")


def learn(method, *given: Given) -> None:
    for index, rows in enumerate(given):
        method.update(Task(index, Period(index, str(index), rows), Past([]), dict), Here())


@pytest.mark.parametrize(("decay", "scores"), [(1.0, [3, 1, 1]), (0.5, [2.5, 0.5, 1]), (0.0, [2, 0, 1])])
def test_popularity_is_a_sum_of_counts_that_fade(decay, scores):
    method = Popularity(backbone=ItemScores(vocabulary=VOCABULARY), decay=decay)

    learn(method, Given((0, 1)), Given((2, 0, 0)))

    assert method.score(Questions(user=torch.tensor([0]), catalogue=torch.arange(3)))[0].tolist() == scores


def supported(support: Support) -> SupportedRatings:
    return SupportedRatings(
        period=0,
        user=torch.tensor([0, 1]),
        labels=torch.tensor([[1.0], [1.0]]),
        items=torch.tensor([[2], [2]]),
        support=support,
    )


def test_biases_are_shrunk_deviations_of_what_was_given_never_of_what_is_asked():
    method = RatingBiases(backbone=Biases(vocabulary=VOCABULARY), item_shrinkage=1.0, user_shrinkage=1.0)
    given = Support(torch.tensor([[0, 1], [0, -1]]), torch.tensor([[5.0, 2.0], [5.0, 0.0]]))

    learn(method, Given(asked=supported(given)))

    # mean of 5, 2, 5 is 4; item 0 has two ratings 1 above it, item 1 one 2 below it, item 2 none
    assert method.backbone.mean.item() == 4.0
    assert method.backbone.item.tolist() == pytest.approx([2 / 3, -1.0, 0.0])
    # a user who gave item 1 a 4: 1 above 4 - 1, shrunk to half of it
    asked = Questions(
        user=torch.tensor([2]),
        candidates=torch.tensor([[0, 2]]),
        support=Support(torch.tensor([[1, -1]]), torch.tensor([[4.0, 0.0]])),
    )
    assert method.score(asked)[0].tolist() == pytest.approx([4 + 2 / 3 + 0.5, 4.5])


def test_ratings_without_a_support_are_learned_whole_and_answered_by_the_items_bias():
    method = RatingBiases(backbone=Biases(vocabulary=VOCABULARY), item_shrinkage=0.0, user_shrinkage=5.0)
    ratings = Ratings(
        period=0,
        user=torch.tensor([0, 1]),
        labels=torch.tensor([[1.0], [3.0]]),
        items=torch.tensor([[0], [1]]),
    )

    learn(method, Given(asked=ratings))

    asked = Questions(user=torch.tensor([2]), candidates=torch.tensor([[0, 1, 2]]))
    assert method.score(asked)[0].tolist() == pytest.approx([1.0, 3.0, 2.0])
