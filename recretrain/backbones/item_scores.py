"""One score per item, the same for every user."""

from __future__ import annotations

import torch
from torch import Tensor

from recretrain.backbones.base import Backbone
from recretrain.data.kinds import Questions, Rankings
from recretrain.data.vocabulary import Vocabulary


class ItemScores(Backbone):
    """Scores that a method writes; nothing is fitted by gradients."""

    answers = Rankings
    by_id = ("scores",)

    def __init__(self, *, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.scores: Tensor
        self.space: Tensor  # of each item, its index in `vocabulary.spaces`
        self.register_buffer("scores", torch.zeros(vocabulary.n_items, dtype=torch.float64))
        self.register_buffer("space", vocabulary.item_space, persistent=False)

    @property
    def device(self) -> torch.device:
        return self.scores.device

    def draw(self, generator: torch.Generator | None) -> None:
        """Zeros: nothing here is random."""
        self.scores.zero_()

    def score(self, questions: Questions) -> Tensor:
        if questions.candidates is not None:
            return self.scores[questions.candidates]
        assert questions.catalogue is not None
        return self.scores[questions.catalogue].expand(len(questions.user), -1)
