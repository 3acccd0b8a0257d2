"""A rating is the mean, plus what the item, plus what the user usually has above it."""

from __future__ import annotations

import torch
from torch import Tensor

from recretrain.backbones.content import RatingBackbone
from recretrain.data.vocabulary import Vocabulary


class Biases(RatingBackbone):
    """Mean and items' biases; a user's bias is not kept, since the ratings it is made of come with the question."""

    by_id = ("item",)

    def __init__(self, *, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.mean: Tensor
        self.item: Tensor
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("item", torch.zeros(vocabulary.n_items, dtype=torch.float64))

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def draw(self, generator: torch.Generator | None) -> None:
        """Zeros: nothing here is random."""
        self.mean.zero_()
        self.item.zero_()

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        return self.mean + self.item[item]
