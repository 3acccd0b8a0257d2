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
from recretrain.methods.label_frequency import LabelFrequency
from recretrain.methods.popularity import Popularity
from recretrain.methods.random import Random
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


def test_label_frequencies_are_shares_with_one_more_row_for_each_label():
    vocabulary = Vocabulary.of(n_users=3, n_items=5, spaces=("a", "b"), item_space=torch.tensor([0, 0, 1, 1, 1]))
    method = LabelFrequency(backbone=ItemScores(vocabulary=vocabulary))

    learn(method, Given((0, 0, 1)), Given((2, 2, 4)))

    asked = [Questions(user=torch.tensor([0]), catalogue=labels) for labels in (torch.arange(2), torch.arange(2, 5))]
    shares = [torch.softmax(method.score(questions), 1)[0].tolist() for questions in asked]
    assert shares[0] == pytest.approx([3 / 5, 2 / 5])
    assert shares[1] == pytest.approx([3 / 6, 1 / 6, 2 / 6])


def drawn(seed: int) -> Random:
    method = Random(backbone=ItemScores(vocabulary=Vocabulary.of(n_users=2000, n_items=100)))
    fit = Here()
    fit.generator = torch.Generator().manual_seed(seed)
    method.update(Task(0, Period(0, "0", Given()), Past([]), dict), fit)
    return method


def test_chance_is_even_and_belongs_to_a_pair_of_user_and_item():
    user, item = torch.arange(2000), torch.arange(100)
    whole = drawn(0).score(Questions(user=user, catalogue=item))
    some = drawn(0).score(Questions(user=user[[7, 3]], candidates=torch.tensor([[5, 9], [9, 5]])))

    assert some.tolist() == [[whole[7, 5], whole[7, 9]], [whole[3, 9], whole[3, 5]]]
    assert torch.histc(whole, 10, 0, 1).tolist() == pytest.approx([20_000] * 10, rel=0.03)  # five standard errors
    assert whole.mean(0).tolist() == pytest.approx([0.5] * 100, abs=0.03)
    assert whole.mean(1).tolist() == pytest.approx([0.5] * 2000, abs=0.15)
    assert len(whole.unique()) == whole.numel()
    assert torch.corrcoef(whole.T)[0, 1:].abs().max() < 0.1
    assert not torch.equal(drawn(1).score(Questions(user=user, catalogue=item)), whole)
