"""Caser (Tang & Wang, WSDM 2018): the last items are an image; filters look for patterns across and along it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.drawing import normal_rows_
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.tables import take
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout


class Caser(SequenceBackbone):
    """The paper's convolutions and fully connected layer; the user's embedding is appended, and a 1 whose weight is the
    item's bias. Missing items are rows of zeros. Weights are drawn as in graytowne/caser_pytorch.
    """

    by_id = ("item", "user", "output")
    grows_apart = (
        "rows of an odd width end a table of another length within a vector, where torch's Adam rounds otherwise"
    )

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        embedding_size: AtLeast1,
        horizontal: AtLeast1,
        vertical: AtLeast1,
        longest: AtLeast1,
        dropout: Dropout,
        users: bool,
    ) -> None:
        super().__init__()
        self.longest = longest
        self.dropout = dropout
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.user = nn.Parameter(torch.empty(vocabulary.n_users, embedding_size)) if users else None
        self.output = nn.Parameter(torch.empty(vocabulary.n_items, (2 if users else 1) * embedding_size + 1))
        heights = range(1, longest + 1)
        self.horizontal = nn.ModuleList(nn.Conv1d(embedding_size, horizontal, height) for height in heights)
        self.vertical = nn.Conv1d(longest, vertical, 1)  # a weighted sum of the items for each filter
        found = horizontal * longest + vertical * embedding_size
        self.together = nn.Linear(found, embedding_size)
        self.draw(None)

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        weights, bias = self.output[:, :-1], self.output[:, -1]
        for table in (self.item, weights) if self.user is None else (self.item, weights, self.user):
            normal_rows_(table, 1 / table.shape[1], generator)
        bias.zero_()
        for layer in (*self.horizontal, self.vertical, self.together):
            assert isinstance(layer, nn.Conv1d | nn.Linear)
            assert layer.bias is not None
            bound = layer.weight[0].numel() ** -0.5  # PyTorch's default, which takes no generator
            layer.weight.uniform_(-bound, bound, generator=generator)
            layer.bias.uniform_(-bound, bound, generator=generator)

    @property
    def width(self) -> int:
        return self.item.shape[1]

    def completed(self, features: Tensor, user: Tensor) -> Tensor:
        whose = [] if self.user is None else [take(self.user, user)]
        return torch.cat([features, *whose, features.new_ones(len(features), 1)], 1)

    def encode(self, history: Tensor) -> Tensor:
        items = take(self.item, history.clamp(min=0))
        items = items * (history >= 0).unsqueeze(2)
        image = F.pad(items, (0, 0, self.longest - history.shape[1], 0))  # [B, longest, d]
        across = image.transpose(1, 2)
        patterns = [torch.relu(filters(across)).amax(2) for filters in self.horizontal]
        found = torch.cat([self.vertical(image).flatten(1), *patterns], 1)
        return torch.relu(self.together(F.dropout(found, self.dropout, self.training)))
