"""SASRec (Kang & McAuley, ICDM 2018): attention from the last item of a history predicts the next one.

Where the sources differ:
- residuals: the paper's equation, x + Dropout(g(LayerNorm(x))). Queries, keys and values all see LayerNorm(x), as
  in pmixer/SASRec.pytorch with `norm_first`; the release (kang205/SASRec) adds to the normalised query instead and
  leaves keys and values as they are, which is `ader_sasrec`.
- the attention's output projection: pmixer's (`nn.MultiheadAttention`). The paper's one head has none.
- from the release: item rows times sqrt(d), epsilon 1e-8 in the norms, Glorot-uniform weights, dropout of the
  attention's shares.
- positions are counted from the newest item, as in the paper's left-padded input; padding is not attended to.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.drawing import GLOROT, glorot_rows_
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.tables import take
from recretrain.backbones.trunk import EPSILON, BlockPatches
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError
from recretrain.values import AtLeast1, Dropout


class PaperLayers(nn.Module):
    """Positions, blocks and a last norm over the rows of a table; to be inherited beside a kind of backbone."""

    def add_layers(self, size: int, blocks: int, heads: int, longest: int, dropout: float) -> None:
        """Raises ConfigError where the heads do not divide the size."""
        if size % heads:
            raise ConfigError(f"backbone.heads={heads} must divide backbone.embedding_size={size}; change one of them")
        self.dropout = dropout
        self.position = nn.Parameter(torch.empty(longest, size))  # the last row is the newest item's
        self.blocks = nn.ModuleList(PaperBlock(size, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(size, eps=EPSILON)

    def draw_layers(self, generator: torch.Generator | None) -> None:
        nn.init.xavier_uniform_(self.position, generator=generator)
        for block in self.blocks:
            assert isinstance(block, PaperBlock)
            block.draw(generator)
        self.norm.reset_parameters()

    def through_layers(self, rows: Tensor, ids: Tensor, patches: nn.ModuleList | None, *, last: bool) -> Tensor:
        """States of all positions or, with `last`, of the last, which the last block then computes alone.

        # [B, T, d], [B, T] ids, padding below 0 -> [B, T or 1, d]
        """
        h = math.sqrt(rows.shape[2]) * rows + self.position[-ids.shape[1] :]
        h = F.dropout(h, self.dropout, self.training)
        hidden = _hidden(ids)
        for place, block in enumerate(self.blocks):
            own = None if patches is None else cast(BlockPatches, patches[place])
            h = block(h, hidden, last_only=last and place == len(self.blocks) - 1, patches=own)
        states: Tensor = self.norm(h)
        return states


class SASRec(PaperLayers, SequenceBackbone):
    """The item table is tied with the scores; the last block computes the last position alone."""

    by_id = ("item",)
    grows_apart = GLOROT

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        embedding_size: AtLeast1,
        blocks: AtLeast1,
        heads: AtLeast1,
        longest: AtLeast1,
        dropout: Dropout,
    ) -> None:
        super().__init__()
        self.longest = longest
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.add_layers(embedding_size, blocks, heads, longest, dropout)
        self.draw(None)

    @property
    def output(self) -> nn.Parameter:  # type: ignore[override]
        return self.item

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        glorot_rows_(self.item, generator)
        self.draw_layers(generator)

    def encode(self, history: Tensor) -> Tensor:
        rows = take(self.item, history.clamp(min=0))
        return self.through_layers(rows, history, None, last=True).squeeze(1)


class PaperBlock(nn.Module):
    """Attention, then a point-wise network; each reads its normalised input and is added to the input itself."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.heads = heads
        self.before_attention, self.before_network = (nn.LayerNorm(size, eps=EPSILON) for _ in range(2))
        self.attention = nn.MultiheadAttention(size, heads, dropout, batch_first=True)
        self.widen, self.narrow = (nn.Linear(size, size) for _ in range(2))

    def draw(self, generator: torch.Generator | None) -> None:
        projections = self.attention.in_proj_weight.chunk(3)  # of queries, keys and values, a matrix each
        layers = (self.attention.out_proj, self.widen, self.narrow)
        for weight in (*projections, *(layer.weight for layer in layers)):
            nn.init.xavier_uniform_(weight, generator=generator)
        for bias in (self.attention.in_proj_bias, *(layer.bias for layer in layers)):
            nn.init.zeros_(bias)
        for norm in (self.before_attention, self.before_network):
            norm.reset_parameters()

    def forward(self, h: Tensor, hidden: Tensor, *, last_only: bool, patches: BlockPatches | None = None) -> Tensor:
        """Outputs of all positions or, with `last_only`, of the last.  # [B, T, d], [B, T, T] -> [B, T or 1, d]"""
        seen = self.before_attention(h)
        if last_only:
            h, hidden = h[:, -1:], hidden[:, -1:]
        query = seen[:, -h.shape[1] :]
        attended = self._attend(query, seen, hidden)
        if patches is not None:
            attended = patches.before_norm(0, attended, query, None)
        h = h + F.dropout(attended, self.dropout, self.training)
        norm = self.before_network if patches is None or patches.norm is None else patches.norm
        given = norm(h)
        wide = F.dropout(torch.relu(self.widen(given)), self.dropout, self.training)
        changed = self.narrow(wide)
        if patches is not None:
            changed = patches.before_norm(1, changed, given, None)
        return h + F.dropout(changed, self.dropout, self.training)

    def _attend(self, query: Tensor, seen: Tensor, hidden: Tensor) -> Tensor:
        mask = hidden.repeat_interleave(self.heads, 0)
        found: Tensor = self.attention(query, seen, seen, attn_mask=mask, need_weights=False)[0]
        return found


def _hidden(history: Tensor) -> Tensor:
    """Positions that a position must not see: later ones and padding, never itself, lest a soft-max be empty.

    # [B, T] -> [B, T, T]
    """
    width = history.shape[1]
    later = torch.ones(width, width, dtype=torch.bool, device=history.device).triu(1)
    itself = torch.eye(width, dtype=torch.bool, device=history.device)
    return (later | (history < 0).unsqueeze(1)) & ~itself
