"""A backbone scores; it knows no loss, no optimiser and no period."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from recretrain.data.stream import Questions


class Backbone(nn.Module, ABC):
    """A plain module over ids 0..n-1 of a stream."""

    @abstractmethod
    def score(self, questions: Questions) -> Tensor:
        """Higher is better.  # [B, C], or [B, I] over `questions.catalogue`

        The returned tensor may be a reused buffer: read it before the next call.
        """

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


def rows_of(table: Tensor, catalogue: Tensor) -> Tensor:
    """The rows of distinct ids in ascending order; without a copy where they are the first ones."""
    if int(catalogue[-1]) == len(catalogue) - 1:
        return table[: len(catalogue)]
    return table[catalogue]
