"""Ratings of two domains as a mean, biases and factors; what a user is in the target was learned in the source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from recretrain.backbones.content import RatingBackbone
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1


class Factors(NamedTuple):
    """A biased factorisation of one domain: mean + item's bias + user's bias + user . item."""

    mean: Tensor  # []
    item_bias: Tensor  # [n_items]
    user_bias: Tensor  # [n_users]
    item: Tensor  # [n_items, k]
    user: Tensor  # [n_users, k]

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        """Ratings of pairs.  # [N], [N] -> [N]"""
        product = (self.user[user] * self.item[item]).sum(1)
        return self.mean + self.item_bias[item] + self.user_bias[user] + product


class TwoDomains(RatingBackbone):
    """The items of both domains, and every user as in the target; all zeros but for what a method has written.

    Whoever or whatever has no rows is at the mean of the domain.
    """

    def __init__(self, *, vocabulary: Vocabulary, embedding_size: AtLeast1, words: bool) -> None:
        """`words`: hold the vectors of words too, for methods that read reviews."""
        super().__init__()
        users, items = vocabulary.n_users, vocabulary.n_items
        self.mean: Tensor  # [2], by domain
        self.item_bias: Tensor
        self.user_bias: Tensor
        self.item: Tensor
        self.user: Tensor
        self.item_space: Tensor
        for name, shape in {
            "mean": (2,),
            "item_bias": (items,),
            "user_bias": (users,),
            "item": (items, embedding_size),
            "user": (users, embedding_size),
        }.items():
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.word_vectors: Tensor  # [n_words, d]; without words [0, 0]
        vectors = vocabulary.word_vectors if words else torch.zeros(0, 0)
        self.register_buffer("word_vectors", vectors, persistent=False)
        self.register_buffer("item_space", vocabulary.item_space.clamp(max=1), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.mean.device

    @property
    def sizes(self) -> tuple[int, int]:
        """Numbers of users and of items."""
        return len(self.user_bias), len(self.item_bias)

    @property
    def width(self) -> int:
        """The number of factors that there is room for."""
        return self.user.shape[1]

    def embeddings(self) -> Mapping[str, Tensor]:
        """The factors of both; a rating adds biases and the mean to their product."""
        return {"user": self.user, "item": self.item}

    def draw(self, generator: torch.Generator | None) -> None:
        """Zeros: a method draws what it needs."""
        for tensor in (self.mean, self.item_bias, self.user_bias, self.item, self.user):
            tensor.zero_()

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        product = (self.item[item] @ self.user[user].unsqueeze(2)).squeeze(2)
        return self.mean[self.item_space[item]] + self.item_bias[item] + self.user_bias[user].unsqueeze(1) + product

    def write(self, target: Factors, source_mean: Tensor) -> None:
        """Take over the target's factors, of at most `embedding_size` numbers."""
        self.mean.copy_(torch.stack([source_mean, target.mean]))
        self.item_bias.copy_(target.item_bias)
        self.user_bias.copy_(target.user_bias)
        for into, factors in ((self.item, target.item), (self.user, target.user)):
            into.zero_()
            into[:, : factors.shape[1]] = factors
