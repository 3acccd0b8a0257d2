"""SASRec's blocks as a trunk: attention to earlier items only, with patches behind or beside each half of a block.

PeterRec's paper has convolutions alone; where a patch stands in attention is as adapters have it (Houlsby et al., ICML
2019): on the output of the attention and on that of the network, before each is added to its input.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.sasrec import PaperBlock, check_heads, hidden_positions
from recretrain.backbones.tables import take
from recretrain.backbones.trunk import EPSILON, BlockPatches, Trunk
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout


class SASRecTrunk(Trunk):
    """Positions are counted from the newest token, as in `SASRec`; padding is not attended to."""

    causal = True
    halves = ("before_attention", "attention"), ("before_network", "widen", "narrow")
    second_norm = "before_network"
    activates = False

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
        super().__init__(vocabulary, embedding_size, longest, relu_output=False)
        check_heads(heads, embedding_size)
        self.dropout = dropout
        self.position = nn.Parameter(torch.empty(longest + 1, embedding_size))  # the last row is the newest token's
        self.blocks = nn.ModuleList(PaperBlock(embedding_size, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(embedding_size, eps=EPSILON)
        self.draw(None)

    def draw_blocks(self, generator: torch.Generator | None) -> None:
        nn.init.xavier_uniform_(self.position, generator=generator)
        for block in self.blocks:
            assert isinstance(block, PaperBlock)
            block.draw(generator)
        self.norm.reset_parameters()

    def encode(self, history: Tensor) -> Tensor:
        return self.states(self.tokens(history), last=True).squeeze(1)

    def states(self, tokens: Tensor, patches: nn.ModuleList | None = None, *, last: bool = False) -> Tensor:
        """With `last` the last block computes the last position alone.  # [B, T] -> [B, T or 1, d]"""
        rows = take(self.item, tokens.clamp(min=0))
        h = math.sqrt(self.width) * rows + self.position[-tokens.shape[1] :]
        h = F.dropout(h, self.dropout, self.training)
        hidden = hidden_positions(tokens)
        for place, block in enumerate(self.blocks, start=1):
            own = None if patches is None else cast(BlockPatches, patches[place - 1])
            h = block(h, hidden, last_only=last and place == len(self.blocks), patches=own)
        present = (tokens[:, -h.shape[1] :] >= 0).unsqueeze(2)
        found: Tensor = self.norm(h) * present.to(h.dtype)
        return found
