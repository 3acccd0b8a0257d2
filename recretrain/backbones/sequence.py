"""A sequence backbone turns a history into a vector and scores items by their dot product with it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from recretrain.backbones.base import Backbone
from recretrain.backbones.lengths import by_length, put_together
from recretrain.backbones.products import times
from recretrain.backbones.tables import rows_of
from recretrain.data.interactions import PAD
from recretrain.data.kinds import Histories, Questions

_GROUPS = (0, 2, 4, 8, 16)  # histories up to these lengths are computed together


class SequenceBackbone(Backbone):
    """Histories are [B, T] item ids, the newest in the last column, -1 before the first."""

    answers = Histories

    longest: int  # items of a history that are looked at
    output: nn.Parameter  # [n_items, d] rows that are scored against

    @abstractmethod
    def encode(self, history: Tensor) -> Tensor:
        """The vectors of histories that hold at least one item, T <= longest.  # [B, T] -> [B, width]"""

    def encode_all(self, history: Tensor) -> Tensor:
        """The vector of every prefix: position t is what `encode` gives for the history up to and including t, and 0
        at padding; T <= longest.  # [B, T] -> [B, T, width]

        Encodes every prefix by itself, which serves any network. One whose states depend neither on later items nor
        on how many of them there are (GRU4Rec) does all positions in one pass.
        """
        row, stop = torch.nonzero(history >= 0, as_tuple=True)
        width = history.shape[1]
        column = stop.unsqueeze(1) + torch.arange(1 - width, 1, device=history.device)
        prefixes = torch.where(column >= 0, history[row.unsqueeze(1), column.clamp(min=0)], PAD)
        vectors = self._vectors(prefixes)
        return vectors.new_zeros(*history.shape, self.width).index_put((row, stop), vectors)

    def embeddings(self) -> Mapping[str, Tensor]:
        """The rows that the vector of a history is scored against."""
        return {"item": self.output}

    @property
    def width(self) -> int:
        """Length of the vectors that `encode` gives."""
        return self.output.shape[1]

    def completed(self, features: Tensor, user: Tensor) -> Tensor:
        """Append features that do not depend on the history (Caser: the user's embedding).

        # [B, width], [B] -> [B, d]
        """
        return features

    def represent(self, history: Tensor, user: Tensor) -> Tensor:
        """The vectors that `output` is scored against, of histories of any length, empty ones too.

        An empty history is 0 before it is completed.  # [B, T], [B] -> [B, d]
        """
        return self.completed(self._vectors(history[:, -self.longest :]), user)

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        assert questions.history is not None
        features = self.represent(questions.history.long(), questions.user)
        if questions.candidates is not None:
            return torch.bmm(self.output[questions.candidates], features.unsqueeze(2)).squeeze(2)
        assert questions.catalogue is not None
        return times(features, rows_of(self.output, questions.catalogue))

    def _vectors(self, history: Tensor) -> Tensor:
        """The vectors of histories, empty ones too, whose vector is 0; T <= longest.  # [B, T] -> [B, width]"""
        nothing = torch.zeros(self.width, device=history.device)
        if not len(history):
            return nothing.expand(0, -1)
        groups = list(by_length((history >= 0).sum(1), _GROUPS, history.shape[1]))
        parts = [
            self.encode(history[rows, -longest:]) if longest else nothing.expand(len(rows), -1)
            for rows, longest in groups
        ]
        return put_together(parts, [rows for rows, _ in groups])
