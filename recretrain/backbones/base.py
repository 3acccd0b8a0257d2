"""A backbone scores; it knows no loss, no optimiser and no period."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

import torch
from torch import Tensor, nn

from recretrain.data.kinds import Questions, TestSet


class Backbone(nn.Module, ABC):
    """A plain module over ids 0..n-1 of users and items. Its constructor takes `vocabulary: Vocabulary` and, by
    keyword, what conf/backbone gives.
    """

    answers: ClassVar[type[TestSet] | None] = None  # the kind of questions that it can score; None: any

    @abstractmethod
    def score(self, questions: Questions) -> Tensor:
        """Higher is better.  # [B, C], or [B, I] over `questions.catalogue`

        The returned tensor may be a reused buffer: read it before the next call.
        """

    @abstractmethod
    def draw(self, generator: torch.Generator | None) -> None:
        """Replace all weights by new ones, as at the start of a run; None: by torch's own generator."""

    def embeddings(self) -> Mapping[str, Tensor]:
        """The embeddings of whole kinds, `user` [n_users, d] and `item` [n_items, d], that an export writes beside
        their raw ids; none by default. Of items those that a score is made of.
        """
        return {}

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for its parameters inside; as before outside."""
    before = [p.requires_grad for p in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wanted in zip(module.parameters(), before, strict=True):
            parameter.requires_grad_(wanted)
