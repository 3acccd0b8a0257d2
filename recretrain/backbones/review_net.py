"""Nets that rate by two documents: what a user wrote, and what was written about an item."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from recretrain.backbones.base import Backbone
from recretrain.data.interactions import PAD, Ragged
from recretrain.data.kinds import Questions
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1


class Words(NamedTuple):
    """Documents as a matrix over the distinct words that occur in them, so that each word is multiplied once."""

    used: Tensor  # [V] ids of words
    place: Tensor  # [D, L] into `used`, V where there is no word

    @classmethod
    def of(cls, documents: Ragged) -> Words:
        length = torch.diff(documents.offsets)
        used, local = torch.unique(documents.values.long(), return_inverse=True)
        if len(used) and int(used[0]) == PAD:  # words that were taken out
            used, local = used[1:], torch.where(local == 0, len(used), local) - 1
        width = max(1, int(length.max())) if len(length) else 1
        row = documents.row_of_value()
        column = torch.arange(len(local), device=local.device) - documents.offsets[row]
        place = torch.full((len(length), width), len(used), device=local.device)
        place[row, column] = local
        return cls(used, place)

    @property
    def known(self) -> Tensor:
        """Whether there is a word.  # [D, L] bool"""
        return self.place < len(self.used)


class ReviewNet(Backbone):
    """A rating is mean + item's bias + user's bias + what the documents say; biases of users are given, not trained."""

    def __init__(self, vocabulary: Vocabulary, *, words: Literal["trainable", "frozen"], longest: AtLeast1) -> None:
        """`longest`: words of a document."""
        super().__init__()
        self.longest = longest
        self._vectors = vocabulary.word_vectors
        self.word: Tensor
        if words == "trainable":
            self.word = nn.Parameter(self._vectors.clone())
        else:
            self.register_buffer("word", self._vectors.clone(), persistent=False)
        self.mean: Tensor
        self.user_bias: Tensor
        self.item_space: Tensor
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("user_bias", torch.zeros(vocabulary.n_users))
        self.register_buffer("item_space", vocabulary.item_space.clamp(max=1), persistent=False)
        self.item_bias = nn.Parameter(torch.zeros(vocabulary.n_items))

    @abstractmethod
    def user_vectors(self, documents: Ragged) -> Tensor:
        """Vectors of users, made of a document of each.  # D documents -> [D, v]"""

    @abstractmethod
    def item_vectors(self, documents: Ragged) -> Tensor:
        """Vectors of items, made of a document of each.  # D documents -> [D, v]"""

    @abstractmethod
    def meet(self, user: Tensor, item: Tensor) -> Tensor:
        """Ratings of pairs by their documents alone, from their vectors.  # [..., v], [..., v] -> [...]"""

    @abstractmethod
    def penalty(self) -> Tensor:
        """Half the sum of squares of what is regularised.  # -> []"""

    @abstractmethod
    def draw_layers(self, generator: torch.Generator | None) -> None:
        """New weights for all but words and biases."""

    def draw(self, generator: torch.Generator | None) -> None:
        with torch.no_grad():
            if isinstance(self.word, nn.Parameter):
                self.word.copy_(self._vectors)
            for bias in (self.mean, self.user_bias, self.item_bias):
                bias.zero_()
            self.draw_layers(generator)

    def biases(self, user: Tensor, item: Tensor) -> Tensor:
        """Ratings without a document.  # [...], [...] -> [...]"""
        return self.mean + self.item_bias[item] + self.user_bias[user]

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        """By biases alone: the documents are the method's."""
        assert questions.candidates is not None
        return self.biases(questions.user.unsqueeze(1), questions.candidates)

    def tables(self, weight: Tensor, used: Tensor) -> Tensor:
        """Products of the distinct words with a weight, and a last row of zeros.  # [d, w], [V] -> [V + 1, w]"""
        return nn.functional.pad(self.word[used] @ weight, (0, 0, 0, 1))


def windowed(table: Tensor, place: Tensor) -> Tensor:
    """Sums over a window: the word at o places from the middle adds its product with the window's o-th weights.

    # [V + 1, o, n], [D, L] -> [D, L, n]
    """
    window, pad = table.shape[1], len(table) - 1
    half, length = window // 2, place.shape[1]
    padded = nn.functional.pad(place, (half, half), value=pad)
    rows = table.flatten(0, 1)  # of word v at place o: v x window + o
    total = rows[padded[:, :length] * window]
    for shift in range(1, window):
        total = total + rows[padded[:, shift : shift + length] * window + shift]
    return total


def uniform_(weight: Tensor, bound: float, generator: torch.Generator | None) -> None:
    weight.uniform_(-bound, bound, generator=generator)
