"""ANR (Chin et al., CIKM 2018): aspects of both documents, and how much each counts for this user and this item."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from recretrain.backbones.review_net import ReviewNet, Words, uniform_, windowed
from recretrain.data.interactions import Ragged
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from recretrain.values import AtLeast1, Dropout

_BOUND = 0.01


class ANR(ReviewNet):
    """Words are projected for each aspect and attended to by a window of them; users and items share these weights.

    The importances of aspects come from co-attention: docs/methods/catn_baselines.md (f).
    """

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        longest: AtLeast1,
        window: AtLeast1,
        aspects: AtLeast1,
        aspect_size: AtLeast1,
        attention_size: AtLeast1,
        words: Literal["trainable", "frozen"],
        dropout: Dropout,
    ) -> None:
        """`aspect_size`: h1; `attention_size`: h2, of the co-attention. `dropout` is on the aspects' vectors."""
        super().__init__(vocabulary, words=words, longest=longest)
        if window % 2 == 0:
            raise ConfigError(f"backbone.window={window} has no middle word; give an odd number")
        self.aspects = aspects
        self.aspect_size = aspect_size
        self.window = window
        self.projection = nn.Parameter(torch.empty(self.word.shape[1], aspects * aspect_size))
        self.query = nn.Parameter(torch.empty(aspects, window, aspect_size))  # the aspect's embedding
        self.affinity = nn.Parameter(torch.empty(aspect_size, aspect_size))
        self.hidden = nn.Parameter(torch.empty(2, aspect_size, attention_size))  # of users, of items
        self.importance = nn.Parameter(torch.empty(2, attention_size))
        self.dropout = nn.Dropout(dropout)
        self.draw(None)

    def draw_layers(self, generator: torch.Generator | None) -> None:
        """All uniform within .01, but for words' projections, by their number of inputs."""
        uniform_(self.projection, self.word.shape[1] ** -0.5, generator)
        for weight in (self.query, self.affinity, self.hidden, self.importance):
            uniform_(weight, _BOUND, generator)

    def user_vectors(self, documents: Ragged) -> Tensor:
        return self._aspects(documents).flatten(1)

    def item_vectors(self, documents: Ragged) -> Tensor:
        return self._aspects(documents).flatten(1)

    def meet(self, user: Tensor, item: Tensor) -> Tensor:
        shape = (*user.shape[:-1], self.aspects, self.aspect_size)
        p, q = self.dropout(user.view(shape)), self.dropout(item.view(shape))
        counts_for_user, counts_for_item = self.importances(p, q)
        found: Tensor = (counts_for_user * counts_for_item * (p * q).sum(-1)).sum(-1)
        return found

    def importances(self, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """The share of each aspect, for the user and for the item.  # [..., K, h1] -> [..., K] each"""
        affinity = torch.relu(p @ self.affinity @ q.mT)  # [..., K, K], users' aspects by items'
        of_user, of_item = p @ self.hidden[0], q @ self.hidden[1]
        user = torch.relu(of_user + affinity @ of_item)
        item = torch.relu(of_item + affinity.mT @ of_user)
        return torch.softmax(user @ self.importance[0], -1), torch.softmax(item @ self.importance[1], -1)

    def penalty(self) -> Tensor:
        """Of the biases alone, as released."""
        return 0.5 * self.item_bias.square().sum()

    def _aspects(self, documents: Ragged) -> Tensor:
        """Zeros for a document without words.  # -> [D, K, h1]"""
        words = Words.of(documents)
        table = self.tables(self.projection, words.used).view(-1, self.aspects, self.aspect_size)
        logit = windowed(torch.einsum("vkh,kwh->vwk", table, self.query), words.place)  # [D, L, K]
        none = ~words.known.unsqueeze(2)
        share = torch.softmax(logit.masked_fill(none, -1e30), 1).masked_fill(none, 0.0)
        return torch.einsum("dlk,dlkh->dkh", share, table[words.place])
