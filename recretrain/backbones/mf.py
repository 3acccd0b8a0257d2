"""Matrix factorisation: a score is the dot product of a user's row and an item's row."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from recretrain.backbones.base import Backbone
from recretrain.backbones.drawing import normal_rows_
from recretrain.backbones.products import times
from recretrain.backbones.tables import rows_of
from recretrain.data.kinds import Questions, Rankings
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Positive

_GEMM_ITEMS = 30  # up to this many known items per candidate, scoring all of them and picking beats gathering rows
_STEP = 2048  # of them in steps: products of a new size for every batch would break up the heap


class MF(Backbone):
    """sml.md (c): no biases; N(0, init_std) rows, also for ids that appear later."""

    answers = Rankings
    by_id = ("user", "item")

    def __init__(self, *, vocabulary: Vocabulary, embedding_size: AtLeast1, init_std: Positive) -> None:
        super().__init__()
        self._init_std = init_std
        self.user = nn.Parameter(torch.empty(vocabulary.n_users, embedding_size))
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.draw(None)
        self._scratch: dict[str, Tensor] = {}  # scratch, never part of the state

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        """N(0, init_std)."""
        for table in self.parameters():
            normal_rows_(table, self._init_std, generator)

    def embeddings(self) -> Mapping[str, Tensor]:
        """Both: a score is the dot product of their rows."""
        return {"user": self.user, "item": self.item}

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        users = self.user[questions.user]  # [B, d]
        if questions.candidates is None:
            assert questions.catalogue is not None
            items = rows_of(self.item, questions.catalogue)
            return times(users, items)
        return self._score_candidates(users, questions.candidates)

    def _score_candidates(self, users: Tensor, candidates: Tensor) -> Tensor:
        rows, width = candidates.shape
        # ids to come must cost nothing; on a GPU the highest id would have to be waited for
        known = int(candidates.max()) + 1 if candidates.device.type == "cpu" else len(self.item)
        offered = self.item[: -(-known // _STEP) * _STEP]
        if len(offered) <= _GEMM_ITEMS * width:
            return torch.gather(times(users, offered), 1, candidates, out=self._buffer("scores", rows, width))
        picked = self._buffer("picked", rows * width, users.shape[1])
        torch.index_select(self.item, 0, candidates.reshape(-1), out=picked)
        scores = self._buffer("scores", rows, width)
        torch.bmm(picked.view(rows, width, -1), users.unsqueeze(2), out=scores.unsqueeze(2))
        return scores

    def _buffer(self, name: str, *shape: int) -> Tensor:
        """Memory that is reused from chunk to chunk: fresh memory costs more in page faults than the product itself."""
        size = torch.Size(shape).numel()
        held = self._scratch.get(name)
        if held is None or held.numel() < size or held.device != self.user.device:
            held = self._scratch[name] = self.user.new_empty(size)
        return held[:size].view(shape)


def dot(left: Tensor, right: Tensor) -> Tensor:
    """Row-wise dot product.  # [B, d], [B, d] -> [B]"""
    return (left * right).sum(-1)
