"""A sequence backbone turns a history into a vector and scores items by their dot product with it."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from recretrain.backbones.base import Backbone, rows_of
from recretrain.backbones.lengths import by_length, put_together
from recretrain.backbones.products import times
from recretrain.data.stream import Questions
from recretrain.errors import DataError

_GROUPS = (0, 2, 4, 8, 16)  # histories up to these lengths are computed together


class SequenceBackbone(Backbone):
    """Histories are [B, T] item ids, the newest in the last column, -1 before the first."""

    longest: int  # items of a history that are looked at
    output: nn.Parameter  # [n_items, d] rows that are scored against

    @abstractmethod
    def encode(self, history: Tensor) -> Tensor:
        """The vectors of histories that hold at least one item.  # [B, T] -> [B, d]"""

    @abstractmethod
    def draw(self, generator: torch.Generator | None) -> None:
        """New weights, as at the start of a run."""

    @property
    def width(self) -> int:
        """Of the vectors that `encode` gives."""
        return self.output.shape[1]

    def completed(self, features: Tensor, user: Tensor) -> Tensor:
        """Adds what is known of a user without a history, if anything is.  # [B, width], [B] -> [B, d]"""
        return features

    def represent(self, history: Tensor, user: Tensor) -> Tensor:
        """The vectors of any histories, computed in groups of like length; `encode` is not asked for an empty one,
        whose vector is 0 before it is completed.  # [B, T], [B] -> [B, d]
        """
        history = history[:, -self.longest :]
        groups = list(by_length((history >= 0).sum(1), _GROUPS, history.shape[1]))
        nothing = self.output.new_zeros(self.width)
        parts = [
            self.encode(history[rows, -longest:]) if longest else nothing.expand(len(rows), -1)
            for rows, longest in groups
        ]
        return self.completed(put_together(parts, [rows for rows, _ in groups]), user)

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        features = self.represent(self._history(questions), questions.user)
        if questions.candidates is not None:
            return torch.bmm(self.output[questions.candidates], features.unsqueeze(2)).squeeze(2)
        assert questions.catalogue is not None
        return times(features, rows_of(self.output, questions.catalogue))

    @staticmethod
    def _history(questions: Questions) -> Tensor:
        if "history" not in questions.context:
            raise DataError("a sequence backbone needs histories with the questions; set eval.history (such as 50)")
        return questions.context["history"].long()
