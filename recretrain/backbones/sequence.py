"""A sequence backbone turns a history into a vector and scores items by their dot product with it."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise

import torch
from torch import Tensor, nn

from recretrain.backbones.base import Backbone
from recretrain.backbones.products import times
from recretrain.data.errors import DataError
from recretrain.data.stream import Questions

_GROUPS = (2, 4, 8, 16)  # histories up to these lengths are computed together, so that little of it is padding


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

    def represent(self, history: Tensor) -> Tensor:
        """The vectors of any histories, computed in groups of like length; an empty one is 0.  # [B, T] -> [B, d]"""
        history = history[:, -self.longest :]
        length = (history >= 0).sum(1)
        limits = [0, *(limit for limit in _GROUPS if limit < history.shape[1]), history.shape[1]]
        order, parts = [], []
        for shortest, longest in pairwise(limits):
            rows = torch.nonzero((length > shortest) & (length <= longest)).squeeze(1)
            if len(rows):
                order.append(rows)
                parts.append(self.encode(history[rows, -longest:]))
        empty = torch.nonzero(length == 0).squeeze(1)
        if len(empty):
            order.append(empty)
            parts.append(self.output.new_zeros(len(empty), self.output.shape[1]))
        return torch.cat(parts)[torch.argsort(torch.cat(order))]

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        features = self.represent(self._history(questions))
        if questions.candidates is not None:
            return torch.bmm(self.output[questions.candidates], features.unsqueeze(2)).squeeze(2)
        assert questions.catalogue is not None
        known = questions.catalogue
        if int(known[-1]) == len(known) - 1:  # ascending and distinct: a prefix, no copy needed
            return times(features, self.output[: len(known)])
        return times(features, self.output[known])

    @staticmethod
    def _history(questions: Questions) -> Tensor:
        if "history" not in questions.context:
            raise DataError("a sequence backbone needs histories with the questions; set eval.history (such as 50)")
        return questions.context["history"].long()
