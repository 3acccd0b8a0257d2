"""Factorisation machines (Rendle, ICDM 2010) of two groups of features: the items that a history holds, and a label.

Every feature has a weight and a vector, and each pair of features a product of vectors. All that concerns the history
alone is computed once for all labels of a question (peterrec.md, f).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.bags import distinct
from recretrain.backbones.base import Backbone
from recretrain.backbones.tables import take
from recretrain.data.kinds import Histories, Questions
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout, Positive

_NUMBERS = 2**22  # of a layer's results that are held at a time where questions are answered


class FactorisationMachine(Backbone):
    """The n items of a history are features of the value 1 / sqrt(n), the label is one of the value 1.

    w_0 + sum of w_i x_i + what a network makes of the vectors; an item has one weight and one vector, be it in a
    history or the label.
    """

    answers = Histories
    inputs: ClassVar[int] = 1  # vectors that the network is given side by side

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        embedding_size: AtLeast1,
        hidden: Sequence[AtLeast1],
        longest: AtLeast1,
        dropout: Dropout,
        init_std: Positive,
    ) -> None:
        super().__init__()
        self.longest = longest
        self.dropout = dropout
        self.init_std = init_std
        self._widest = max(embedding_size, *hidden, 1)
        self.item = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size))
        self.weight = nn.Parameter(torch.empty(vocabulary.n_items, 1))
        self.bias = nn.Parameter(torch.empty(1))
        sizes = [self.inputs * embedding_size, *hidden]
        layers = [*(nn.Linear(size, following) for size, following in pairwise(sizes)), nn.Linear(sizes[-1], 1, False)]
        self.first, self.rest = layers[0], nn.ModuleList(layers[1:])
        self.item_space: Tensor
        self.register_buffer("item_space", vocabulary.item_space, persistent=False)
        self.draw(None)

    def embeddings(self) -> Mapping[str, Tensor]:
        """The vectors of items, which are the same in a history and as a label."""
        return {"item": self.item}

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        """N(0, init_std) vectors; layers Glorot-uniform; weights and biases 0."""
        self.item.normal_(0.0, self.init_std, generator=generator)
        for zero in (self.weight, self.bias):
            zero.zero_()
        for name, weight in [*self.first.named_parameters(), *self.rest.named_parameters()]:
            if name.endswith("bias"):
                weight.zero_()
            else:
                nn.init.xavier_uniform_(weight, generator=generator)

    def label_scores(self, history: Tensor, labels: Tensor) -> Tensor:
        """Scores of labels, the same for all or each history's own.  # [B, T], [n] or [B, n] -> [B, n]"""
        return self.scores(self.features(history), labels)

    def features(self, history: Tensor) -> Tensor:
        """All that concerns the history alone: the sum of its features' vectors, the sum of the products of all pairs
        of them, and of their weights.  # [B, T] -> [B, 2 d + 1]
        """
        items = distinct(history[:, -self.longest :].long())
        held = items >= 0
        value = (held / held.sum(1, keepdim=True).clamp(min=1).sqrt()).unsqueeze(2)
        items = items.clamp(min=0)
        vectors = take(self.item, items) * value
        total = vectors.sum(1)
        pairs = (total.square() - vectors.square().sum(1)) / 2
        return torch.cat([total, pairs, (take(self.weight, items) * value).sum(1)], 1)

    def scores(self, features: Tensor, labels: Tensor) -> Tensor:
        """Scores of labels for histories that `features` has summed up.  # [B, 2 d + 1], [n] or [B, n] -> [B, n]"""
        size = self.item.shape[1]
        total, pairs, line = torch.split(features, [size, size, 1], 1)
        label = take(self.item, labels)
        found: Tensor = self.interactions(total, pairs, label if label.dim() == 3 else label.unsqueeze(0))
        return self.bias + line + take(self.weight, labels).squeeze(-1) + found

    @abstractmethod
    def interactions(self, total: Tensor, pairs: Tensor, label: Tensor) -> Tensor:
        """Combine the sum and the pairs of a history with the vectors of labels.

        # [B, d], [B, d], [B, n, d] or [1, n, d] -> [B, n]
        """

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        assert questions.history is not None
        return self.in_pieces(self.features(questions.history), questions.offered)

    def in_pieces(self, features: Tensor, labels: Tensor) -> Tensor:
        """`scores`, some labels at a time where many are asked."""
        count = max(1, _NUMBERS // (max(1, len(features)) * self._widest))
        return torch.cat([self.scores(features, some) for some in torch.split(labels, count, -1)], 1)

    def dropped(self, numbers: Tensor) -> Tensor:
        """The numbers with dropout, which is on in training alone."""
        return F.dropout(numbers, self.dropout, self.training)

    def through(self, hidden: Tensor) -> Tensor:
        """Pass the first layer's result through the others, ReLU before each.  # [B, n, h] -> [B, n]"""
        for layer in self.rest:
            hidden = layer(self.dropped(torch.relu(hidden)))
        return hidden.squeeze(2)


class NeuFM(FactorisationMachine):
    """He and Chua, SIGIR 2017: a network on the sum of the products of all pairs, number by number.

    With a last layer of ones and no other it is the factorisation machine.
    """

    def interactions(self, total: Tensor, pairs: Tensor, label: Tensor) -> Tensor:
        together = pairs.unsqueeze(1) + total.unsqueeze(1) * label
        return self.through(self.first(self.dropped(together)))


class DeepFM(FactorisationMachine):
    """Guo et al., IJCAI 2017: the factorisation machine, and beside it a network on the vectors of history and label.

    The first layer is a sum of what it makes of the history and of the label, so it is computed once for each.
    """

    inputs: ClassVar[int] = 2

    def interactions(self, total: Tensor, pairs: Tensor, label: Tensor) -> Tensor:
        machine = pairs.sum(1, keepdim=True) + torch.matmul(label, total.unsqueeze(2)).squeeze(2)
        of_history, of_label = torch.split(self.first.weight, total.shape[1], 1)
        hidden = F.linear(self.dropped(total), of_history, self.first.bias).unsqueeze(1)
        return machine + self.through(hidden + F.linear(self.dropped(label), of_label))
