"""SASRec as ADER's released code has it: residuals around the normalised query, positions counted from the end."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.drawing import GLOROT, uniform_rows_
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.tables import take
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout

_MASKED = -(2.0**32) + 1  # the released code's score of a key that must not be seen


class AderSASRec(SequenceBackbone):
    """ader.md (c). One head, item table tied with the scores; a history is represented by its last position."""

    by_id = ("item",)
    grows_apart = GLOROT

    def __init__(
        self, *, vocabulary: Vocabulary, embedding_size: AtLeast1, blocks: AtLeast1, longest: AtLeast1, dropout: Dropout
    ) -> None:
        super().__init__()
        self.longest = longest
        self.dropout = dropout
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.position = nn.Parameter(torch.empty(longest, embedding_size))  # the last row is the newest item's
        self.blocks = nn.ModuleList(ReleasedBlock(embedding_size, dropout) for _ in range(blocks))
        self.norm = LayerNorm(embedding_size)
        self.draw(None)

    @property
    def output(self) -> nn.Parameter:  # type: ignore[override]
        return self.item

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        """Glorot-uniform; the item table's scale counts the released code's row of zeros."""
        rows, size = self.item.shape
        uniform_rows_(self.item, math.sqrt(6 / (rows + 1 + size)), generator)
        _uniform(self.position, sum(self.position.shape), generator)
        for block in self.blocks:
            assert isinstance(block, ReleasedBlock)
            block.draw(generator)
        self.norm.draw()

    def encode(self, history: Tensor) -> Tensor:
        present = (history >= 0).unsqueeze(2)  # [B, T, 1]
        items = take(self.item, history.clamp(min=0))
        h = math.sqrt(items.shape[2]) * items + self.position[-history.shape[1] :]
        h = F.dropout(h, self.dropout, self.training) * present
        for place, block in enumerate(self.blocks, start=1):
            h = block(h, present, last_only=place == len(self.blocks))
        last: Tensor = self.norm(h[:, -1])
        return last


class ReleasedBlock(nn.Module):
    """Attention, then a point-wise network; each is added to its normalised input, not to the input itself."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.widen, self.narrow = (nn.Linear(size, size) for _ in range(2))
        self.before_attention, self.before_network = LayerNorm(size), LayerNorm(size)

    def draw(self, generator: torch.Generator | None) -> None:
        for layer in (self.query, self.key, self.value, self.widen, self.narrow):
            _uniform(layer.weight, sum(layer.weight.shape), generator)
            nn.init.zeros_(layer.bias)
        for norm in (self.before_attention, self.before_network):
            norm.draw()

    def forward(self, h: Tensor, present: Tensor, *, last_only: bool) -> Tensor:
        """Outputs of all positions or, with `last_only`, of the last.  # [B, T, d], [B, T, 1] -> [B, T or 1, d]"""
        query = self.before_attention(h[:, -1:] if last_only else h)
        a = query + self._attend(query, h, present)
        network = self.before_network(a)
        f = F.dropout(torch.relu(self.widen(network)), self.dropout, self.training)
        h = network + F.dropout(self.narrow(f), self.dropout, self.training)
        return h * present[:, -h.shape[1] :]

    def _attend(self, query: Tensor, h: Tensor, present: Tensor) -> Tensor:
        """Keys and values come from `h` as it is; only the query is normalised."""
        scores = self.query(query) @ self.key(h).transpose(1, 2) / math.sqrt(h.shape[2])
        queries, width = scores.shape[1:]
        later = torch.ones(queries, width, dtype=torch.bool, device=h.device).triu(width - queries + 1)
        scores = scores.masked_fill(later | ~present.transpose(1, 2), _MASKED)
        shares = F.dropout(torch.softmax(scores, 2), self.dropout, self.training)
        attended: Tensor = shares @ self.value(h)
        return attended


class LayerNorm(nn.Module):
    """Population variance, 1e-8 inside the root."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))

    def draw(self) -> None:
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.bias)

    def forward(self, h: Tensor) -> Tensor:
        return F.layer_norm(h, h.shape[-1:], self.gain, self.bias, eps=1e-8)


def _uniform(weight: Tensor, fans: int, generator: torch.Generator | None) -> None:
    """U(-a, a), a = sqrt(6 / (fan in + fan out))."""
    bound = math.sqrt(6 / fans)
    with torch.no_grad():
        weight.uniform_(-bound, bound, generator=generator)
