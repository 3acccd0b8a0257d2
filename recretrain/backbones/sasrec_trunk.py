"""SASRec's blocks as a trunk: attention to earlier items only, with patches behind or beside each half of a block.

PeterRec's paper has convolutions alone; where a patch stands in attention is as adapters have it (Houlsby et al., ICML
2019): on the output of the attention and on that of the network, before each is added to its input.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recretrain.backbones.sasrec import PaperLayers
from recretrain.backbones.tables import take
from recretrain.backbones.trunk import Trunk
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout


class SASRecTrunk(PaperLayers, Trunk):
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
        self.add_layers(embedding_size, blocks, heads, longest + 1, dropout)  # [TCL] follows the items
        self.draw(None)

    def draw_blocks(self, generator: torch.Generator | None) -> None:
        self.draw_layers(generator)

    def encode(self, history: Tensor) -> Tensor:
        return self.states(self.tokens(history), last=True).squeeze(1)

    def states(self, tokens: Tensor, patches: nn.ModuleList | None = None, *, last: bool = False) -> Tensor:
        found = self.through_layers(take(self.item, tokens.clamp(min=0)), tokens, patches, last=last)
        present = (tokens[:, -found.shape[1] :] >= 0).unsqueeze(2)
        return found * present.to(found.dtype)
