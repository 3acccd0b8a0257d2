"""GRU4Rec (Hidasi et al., ICLR 2016; Hidasi & Karatzoglou, CIKM 2018): the last state of a GRU sums up a history."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.drawing import GLOROT, glorot_rows_
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.tables import take
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout


class GRU4Rec(SequenceBackbone):
    """Weights are drawn as in the authors' code: Glorot-uniform, a matrix for each gate, and no biases.

    The authors' scores have a bias for each item; a dot product has none, so it is left out here.
    """

    by_id = ("item", "scored")
    grows_apart = GLOROT

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        embedding_size: AtLeast1,
        hidden_size: AtLeast1,
        layers: AtLeast1,
        tied: bool,
        longest: AtLeast1,
        dropout: Dropout,
    ) -> None:
        super().__init__()
        self.longest = longest
        self.dropout = dropout
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.gru = nn.GRU(embedding_size, hidden_size, layers, batch_first=True)
        needs_linear = tied and hidden_size != embedding_size
        self.narrow = nn.Linear(hidden_size, embedding_size) if needs_linear else nn.Identity()
        self.scored = None if tied else nn.Parameter(torch.empty(vocabulary.n_items, hidden_size))
        self.draw(None)

    @property
    def output(self) -> nn.Parameter:  # type: ignore[override]
        return self.item if self.scored is None else self.scored

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        for name, weight in self.named_parameters():
            if weight.dim() == 1:
                nn.init.zeros_(weight)
                continue
            if name in ("item", "scored"):
                glorot_rows_(weight, generator)
                continue
            for matrix in weight.chunk(3) if name.startswith("gru.") else (weight,):
                nn.init.xavier_uniform_(matrix, generator=generator)

    def encode(self, history: Tensor) -> Tensor:
        states, padding = self._states(history)
        last = history.shape[1] - 1 - padding
        final: Tensor = self.narrow(states[torch.arange(len(history), device=history.device), last])
        return final

    def encode_all(self, history: Tensor) -> Tensor:
        """One pass over the histories."""
        states, padding = self._states(history)
        column = torch.arange(history.shape[1], device=history.device) - padding.unsqueeze(1)  # of a position's state
        row = torch.arange(len(history), device=history.device).unsqueeze(1)
        vectors: Tensor = self.narrow(states[row, column.clamp(min=0)])
        return vectors * (history >= 0).unsqueeze(2)

    def _states(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """States with that of the first item in the first column, and the number of columns without an item, which
        come last and affect no state.  # [B, T] -> [B, T, hidden], [B]
        """
        width = history.shape[1]
        padding = (history < 0).sum(1)
        column = torch.arange(width, device=history.device) + padding.unsqueeze(1)
        items = take(self.item, history.gather(1, column.clamp(max=width - 1)).clamp(min=0))
        states, _ = self.gru(F.dropout(items, self.dropout, self.training))
        return states, padding
