"""DeepCoNN (Zheng et al., WSDM 2017): two convolutional nets read the documents, a factorisation machine joins them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from recretrain.backbones.review_net import ReviewNet, Words, uniform_, windowed
from recretrain.data.interactions import Ragged
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from recretrain.values import AtLeast1, Dropout

_STD = 0.1


class DeepCoNN(ReviewNet):
    """Largest values over words of ReLU filters, a layer, and all products of two of what both sides then have."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        longest: AtLeast1,
        window: AtLeast1,
        filters: AtLeast1,
        embedding_size: AtLeast1,
        factors: AtLeast1,
        words: Literal["trainable", "frozen"],
        dropout: Dropout,
    ) -> None:
        """`embedding_size`: what a document becomes; `factors` of the machine, for each number of it."""
        super().__init__(vocabulary, words=words, longest=longest)
        if window % 2 == 0:
            raise ConfigError(f"backbone.window={window} has no middle word; give an odd number")
        size = self.word.shape[1]
        self.window = window
        self.convolution = nn.Parameter(torch.empty(2, window, size, filters))  # of users, of items
        self.convolution_bias = nn.Parameter(torch.empty(2, filters))
        self.layer = nn.Parameter(torch.empty(2, filters, embedding_size))
        self.layer_bias = nn.Parameter(torch.empty(2, embedding_size))
        self.linear = nn.Parameter(torch.empty(2 * embedding_size))
        self.pairs = nn.Parameter(torch.empty(2 * embedding_size, factors))
        self.dropout = nn.Dropout(dropout)
        self.draw(None)

    def draw_layers(self, generator: torch.Generator | None) -> None:
        self.convolution_bias.zero_()
        self.layer_bias.zero_()
        uniform_(self.convolution, (self.window * self.convolution.shape[2]) ** -0.5, generator)
        uniform_(self.layer, self.layer.shape[1] ** -0.5, generator)
        for weight in (self.linear, self.pairs):
            weight.normal_(std=_STD, generator=generator)

    def user_vectors(self, documents: Ragged) -> Tensor:
        return self._read(documents, 0)

    def item_vectors(self, documents: Ragged) -> Tensor:
        return self._read(documents, 1)

    def meet(self, user: Tensor, item: Tensor) -> Tensor:
        joined = self.dropout(torch.cat([user, item], -1))
        of_sum, of_squares = joined @ self.pairs, joined.square() @ self.pairs.square()
        products: Tensor = 0.5 * (of_sum.square() - of_squares).sum(-1)
        found: Tensor = joined @ self.linear + products
        return found

    def penalty(self) -> Tensor:
        weights = (self.convolution, self.layer, self.linear, self.pairs, self.item_bias)
        return 0.5 * torch.stack([weight.square().sum() for weight in weights]).sum()

    def _read(self, documents: Ragged, side: int) -> Tensor:
        """A document without words is that of biases alone.  # -> [D, embedding_size]"""
        words = Words.of(documents)
        table = self.tables(self.convolution[side].transpose(0, 1).flatten(1), words.used)
        seen = windowed(table.view(len(table), self.window, -1), words.place) + self.convolution_bias[side]
        filtered = torch.where(words.known.unsqueeze(2), torch.relu(seen), 0.0).amax(1)
        return torch.relu(filtered @ self.layer[side] + self.layer_bias[side])
