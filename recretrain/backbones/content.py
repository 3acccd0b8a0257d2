"""Content networks know users and items by their fields alone, so that a new one is no stranger."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.base import Backbone
from recretrain.data.fields import Field, Fields
from recretrain.data.kinds import Questions, Ratings
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import DataError
from recretrain.values import AtLeast1

# weight and bias of each layer: [out, in], [out]; or of each user's own: [B, out, in], [B, out]
Layers = list[tuple[Tensor, Tensor]]


class FieldTables(nn.Module):
    """One table a field; the rows of a field with several values are averaged (melu.md, c).

    With `reserve`, values share a reserved row until they are trained (`meet`). The released code has no such row: its
    vocabularies hold the values of users to come.
    """

    def __init__(self, fields: Sequence[Field], size: int, *, reserve: bool) -> None:
        super().__init__()
        self._reserve = reserve
        self._sizes = [field.size for field in fields]
        self._many = [field.many for field in fields]
        self.tables = nn.ParameterList(nn.Parameter(torch.empty(field.size + reserve, size)) for field in fields)
        for place, field in enumerate(fields):
            self.register_buffer(f"values{place}", field.values, persistent=False)
            self.register_buffer(f"weights{place}", field.weights(), persistent=False)
            self.register_buffer(f"met{place}", torch.full((field.size,), not reserve))

    def draw(self, generator: torch.Generator | None) -> None:
        """N(0, 1) for fields of one value; for those of several the default of a linear layer, +-1 / sqrt(values)."""
        for place, (table, size, many) in enumerate(zip(self.tables, self._sizes, self._many, strict=True)):
            self._of("met", place).fill_(not self._reserve)
            with torch.no_grad():
                if many:
                    table.uniform_(-1 / math.sqrt(size), 1 / math.sqrt(size), generator=generator)
                else:
                    table.normal_(generator=generator)

    def meet(self, ids: Tensor) -> None:
        """Read their own rows for the values of these users or items, which are about to be trained.  # [N]"""
        for place in range(len(self.tables)):
            values = self._of("values", place)[ids]
            self._of("met", place)[values[values >= 0]] = True

    def forward(self, ids: Tensor, *, gather: bool = False) -> Tensor:
        """Rows of all fields side by side; `gather`: by indexing, which torch.func can batch, not by the faster bags.

        # [N] -> [N, fields x size]
        """
        parts = []
        for place, table in enumerate(self.tables):
            values = self._of("values", place)[ids].clamp(min=0)
            if self._reserve:
                values = torch.where(self._of("met", place)[values], values, self._sizes[place])
            weights = self._of("weights", place)[ids]
            if gather:
                parts.append((table[values] * weights.unsqueeze(2)).sum(1))
            else:
                parts.append(F.embedding_bag(values, table, mode="sum", per_sample_weights=weights))
        return torch.cat(parts, 1)

    def gradient_norms(self, back: Tensor, ids: Tensor) -> list[Tensor]:
        """Norm of each table's gradient by every id alone; `back`: the gradient of `forward`.

        # [N, fields x size], [N] -> [N] each
        """
        parts = torch.split(back, back.shape[1] // len(self.tables), 1)
        weights = (self._of("weights", place)[ids] for place in range(len(self.tables)))
        return [part.norm(dim=1) * weight.norm(dim=1) for part, weight in zip(parts, weights, strict=True)]

    def _of(self, name: str, place: int) -> Tensor:
        found: Tensor = getattr(self, f"{name}{place}")
        return found


class RatingBackbone(Backbone):
    """Predicts ratings; a question's candidates are the items to rate."""

    answers = Ratings

    @abstractmethod
    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        """Ratings of each user's own items.  # [B], [B, n] -> [B, n]"""

    def meet(self, user: Tensor, item: Tensor) -> None:
        """Take note of users and items that are about to be trained.  # [N], [N]"""

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        assert questions.candidates is not None
        return self.predict(questions.user, questions.candidates)


def fields_of(vocabulary: Vocabulary) -> Fields:
    """The fields of a vocabulary that has some of users and some of items."""
    fields = vocabulary.fields
    if not fields.item or not fields.user:
        raise DataError("these data have no fields of users and items; use data=movielens or data=bookcrossing")
    return fields


class ContentNet(RatingBackbone):
    """MeLU's network, melu.md (c): [item | user] -> hidden layers, ReLU -> a rating. Theta1: tables, Theta2: layers."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        embedding_size: AtLeast1,
        hidden: Sequence[AtLeast1],
        reserve_unseen: bool,
    ) -> None:
        super().__init__()
        fields = fields_of(vocabulary)
        self.item = FieldTables(fields.item, embedding_size, reserve=reserve_unseen)
        self.user = FieldTables(fields.user, embedding_size, reserve=reserve_unseen)
        sizes = [embedding_size * (len(fields.item) + len(fields.user)), *hidden, 1]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.draw(None)

    def draw(self, generator: torch.Generator | None) -> None:
        self.item.draw(generator)
        self.user.draw(generator)
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            bound = 1 / math.sqrt(layer.in_features)
            with torch.no_grad():
                layer.weight.uniform_(-bound, bound, generator=generator)
                layer.bias.uniform_(-bound, bound, generator=generator)

    def meet(self, user: Tensor, item: Tensor) -> None:
        self.user.meet(user)
        self.item.meet(item)

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        return decide(self.inputs(user, item), self.decision_layers())

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """`predict` by operations that torch.func can batch.  # [B], [B, n] -> [B, n]"""
        return decide(self.inputs(user, item, gather=True), self.decision_layers())

    def inputs(self, user: Tensor, item: Tensor, *, gather: bool = False) -> Inputs:
        """The input of the decision layers.  # [B], [B, n]"""
        items = self.item(item.reshape(-1), gather=gather).view(*item.shape, -1)
        return Inputs(items, self.user(user, gather=gather))

    def decision_layers(self) -> Layers:
        return [(layer.weight, layer.bias) for layer in self.layers]  # type: ignore[misc]


@dataclass(frozen=True)
class Inputs:
    """[item | user] of every row of each user; the user's half, equal in all rows, is kept and multiplied once."""

    item: Tensor  # [B, n, d]
    user: Tensor  # [B, e]

    def rows(self, index: Tensor) -> Inputs:
        return Inputs(self.item[index], self.user[index])

    def times(self, weight: Tensor) -> Tensor:
        """Product with a weight, or with each user's own.  # [out, d + e] or [B, out, d + e] -> [B, n, out]"""
        size = self.item.shape[2]
        return self.item @ weight[..., :size].mT + self.user.unsqueeze(1) @ weight[..., size:].mT

    def gradient(self, error: Tensor) -> Tensor:
        """The gradient of each user's weight, given that of `times`.  # [B, n, out] -> [B, out, d + e]"""
        return torch.cat([error.mT @ self.item, error.sum(1).unsqueeze(2) * self.user.unsqueeze(1)], 2)


def decide(inputs: Inputs, layers: Layers) -> Tensor:
    """Ratings.  # [B, n]"""
    return activations(inputs, layers)[-1].squeeze(2)


def activations(inputs: Inputs, layers: Layers) -> list[Tensor]:
    """The output of each layer.  # [B, n, out] each"""
    found: list[Tensor] = []
    for place, (weight, bias) in enumerate(layers, start=1):
        product = found[-1] @ weight.mT if found else inputs.times(weight)
        after = product + (bias.unsqueeze(1) if bias.dim() == 2 else bias)
        found.append(after if place == len(layers) else torch.relu(after))
    return found
