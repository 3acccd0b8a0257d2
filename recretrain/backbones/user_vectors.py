"""Matrix factorisation as a sequence model that looks at who asks alone: its losses are those of next items."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.drawing import normal_rows_
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.tables import take
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout, Positive


class UserVectors(SequenceBackbone):
    """A user's row is scored against items' rows, as `MF` does; the history only tells that there is one.

    So the soft-max over all items, the exemplars of ADER with its distillation, and EWC work on matrix factorisation.
    """

    by_id = ("user", "item")
    longest = 1

    def __init__(
        self, *, vocabulary: Vocabulary, embedding_size: AtLeast1, init_std: Positive, dropout: Dropout
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self._init_std = init_std
        self.user = nn.Parameter(torch.empty(vocabulary.n_users, embedding_size))
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.draw(None)

    @property
    def output(self) -> nn.Parameter:  # type: ignore[override]
        return self.item

    @property
    def width(self) -> int:
        """None: no feature depends on the history."""
        return 0

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        """N(0, init_std)."""
        for table in (self.user, self.item):
            normal_rows_(table, self._init_std, generator)

    def encode(self, history: Tensor) -> Tensor:
        return torch.zeros(len(history), 0, device=history.device)

    def completed(self, features: Tensor, user: Tensor) -> Tensor:
        return F.dropout(take(self.user, user), self.dropout, self.training)
