"""Pairwise preference regression: every value of a user's fields meets every value of an item's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recretrain.backbones.content import FieldTables, RatingBackbone, fields_of
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Positive


class Bilinear(RatingBackbone):
    """Park and Chu, RecSys 2009: user^T W item over one-hot fields (and a constant one on each side), W = A B^T.

    MeLU's paper names neither rank nor regularisation of its PPR; the full W has 35 million weights (melu.md, e).
    """

    def __init__(self, *, vocabulary: Vocabulary, rank: AtLeast1, init_std: Positive) -> None:
        super().__init__()
        fields = fields_of(vocabulary)
        self.rank = rank
        self._init_std = init_std
        self.user = FieldTables(fields.user, rank, reserve=False)
        self.item = FieldTables(fields.item, rank, reserve=False)
        self.user_constant = nn.Parameter(torch.empty(rank))
        self.item_constant = nn.Parameter(torch.empty(rank))
        self.draw(None)

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        for weight in self.parameters():
            weight.normal_(0.0, self._init_std, generator=generator)

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        users = self.user(user).view(len(user), -1, self.rank).sum(1) + self.user_constant
        items = self.item(item.reshape(-1)).view(*item.shape, -1, self.rank).sum(2) + self.item_constant
        return torch.bmm(items, users.unsqueeze(2)).squeeze(2)
