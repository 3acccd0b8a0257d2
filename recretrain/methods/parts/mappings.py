"""Maps a user's bias and factors of the source to those of the target, as learned from users who have both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.optimizers import DenseAdam
from recretrain.data.batches import Columns
from recretrain.methods.base import Fit
from recretrain.methods.objective import Objective
from recretrain.methods.parts.search import Setting
from recretrain.values import AtLeast1, NotEmpty, NotNegative, Positive

Mapped = Callable[[Tensor], Tensor]  # [U, f] of the source -> [U, f] of the target

_USERS = 1024  # mapped together where each has a problem of his own


class UserMap(ABC):
    """Learns a map; which settings it has is told by its grid."""

    @abstractmethod
    def grid(self) -> Mapping[str, Sequence[float]]:
        """The settings to choose from."""

    @abstractmethod
    def fit(self, source: Tensor, target: Tensor, setting: Setting, fit: Fit) -> Mapped:
        """The map of users who have both, by a setting of `grid`.  # [C, f], [C, f]"""


@dataclass(frozen=True, kw_only=True)
class LinearMap(UserMap):
    """Ridge regression with an intercept."""

    penalties: Annotated[Sequence[Positive], NotEmpty()]  # x the squares of the matrix, in units of variance x a user

    def grid(self) -> Mapping[str, Sequence[float]]:
        return {"map_penalty": self.penalties}

    def fit(self, source: Tensor, target: Tensor, setting: Setting, fit: Fit) -> Mapped:
        x, y = Scale.of(source), Scale.of(target)
        one = torch.ones(1, len(source), dtype=source.dtype, device=source.device)
        matrix = ridge(x.into(source).unsqueeze(0), (target - y.mean).unsqueeze(0), one, setting["map_penalty"])[0]
        return lambda users: y.mean + x.into(users) @ matrix


@dataclass(frozen=True, kw_only=True)
class PerceptronMap(UserMap):
    """One hidden layer of tanh, twice as wide as the vector, on columns of mean 0 and variance 1."""

    weight_decays: Annotated[Sequence[NotNegative], NotEmpty()]  # coupled, Adam's own
    learning_rate: Positive  # Adam
    batch_size: AtLeast1  # users
    epochs: AtLeast1

    def grid(self) -> Mapping[str, Sequence[float]]:
        return {"map_weight_decay": self.weight_decays}

    def fit(self, source: Tensor, target: Tensor, setting: Setting, fit: Fit) -> Mapped:
        x, y = Scale.of(source), Scale.of(target)
        net = perceptron(source.shape[1], fit.generator).to(source.device)
        adam = DenseAdam(
            list(net.parameters()), learning_rate=self.learning_rate, weight_decay=setting["map_weight_decay"]
        )
        columns = [x.into(source).float(), y.into(target).float()]
        batches = Columns(columns, batch_size=self.batch_size, generator=fit.generator)
        if len(source):
            fit(Regression(net, adam), batches, epochs=self.epochs)
        net.requires_grad_(False)
        return lambda users: y.out_of(net(x.into(users).float()).double())


@dataclass(frozen=True, kw_only=True)
class NearestMap(UserMap):
    """For each user a ridge regression of his own, on the common users most like him in the source (CDLFM).

    Likeness is the cosine of the source's factors, and a neighbour weighs (1 + cosine) / 2.
    """

    neighbours: Annotated[Sequence[AtLeast1], NotEmpty()]
    penalties: Annotated[Sequence[Positive], NotEmpty()]  # as of `LinearMap`

    def grid(self) -> Mapping[str, Sequence[float]]:
        return {"neighbours": self.neighbours, "map_penalty": self.penalties}

    def fit(self, source: Tensor, target: Tensor, setting: Setting, fit: Fit) -> Mapped:
        count = min(int(setting["neighbours"]), len(source))
        x = Scale.of(source)
        given, direction = x.into(source), F.normalize(source[:, 1:])

        def mapped(users: Tensor) -> Tensor:
            if not count:
                return torch.zeros_like(users)
            found = [near(some, x.into(some)) for some in torch.split(users, _USERS)]
            return torch.cat(found) if found else torch.zeros_like(users)

        def near(users: Tensor, scaled: Tensor) -> Tensor:
            likeness = F.normalize(users[:, 1:]) @ direction.T
            cosine, who = likeness.topk(count, dim=1)
            weight = ((1 + cosine) / 2).clamp(min=1e-6)
            share = (weight / weight.sum(1, keepdim=True)).unsqueeze(2)
            middle, level = (share * given[who]).sum(1), (share * target[who]).sum(1)  # [U, f] each
            inputs, outputs = given[who] - middle.unsqueeze(1), target[who] - level.unsqueeze(1)
            matrix = ridge(inputs, outputs, weight, setting["map_penalty"])
            return level + ((scaled - middle).unsqueeze(1) @ matrix).squeeze(1)

        return mapped


@dataclass(frozen=True)
class Scale:
    """Brings each column to mean 0 and variance 1."""

    mean: Tensor  # [f]
    std: Tensor  # [f]

    @classmethod
    def of(cls, rows: Tensor) -> Scale:
        """The scale of these rows; of none, no change.  # [N, f]"""
        if not len(rows):
            return cls(torch.zeros_like(rows.sum(0)), torch.ones_like(rows.sum(0)))
        return cls(rows.mean(0), rows.std(0, correction=0).clamp(min=1e-9))

    def into(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) / self.std

    def out_of(self, rows: Tensor) -> Tensor:
        return rows * self.std + self.mean


class Regression(Objective[tuple[Tensor, Tensor]]):
    """Mean squared error of a network."""

    def __init__(self, net: nn.Module, optimizer: Optimizer) -> None:
        super().__init__(optimizer)
        self.net = net

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, outputs = batch
        return F.mse_loss(self.net(inputs), outputs)


def ridge(inputs: Tensor, outputs: Tensor, weight: Tensor, penalty: float) -> Tensor:
    """The least weighted sum of squares + penalty x the squares of the matrix, a problem a batch.

    # [b, N, f], [b, N, g], [b, N] -> [b, f, g]
    """
    weighted = inputs * weight.unsqueeze(2)
    eye = torch.eye(inputs.shape[2], dtype=inputs.dtype, device=inputs.device)
    found: Tensor = torch.linalg.solve(weighted.mT @ inputs + penalty * eye, weighted.mT @ outputs)
    return found


def perceptron(size: int, generator: torch.Generator) -> nn.Sequential:
    """Layers size -> 2 size, tanh -> size; all weights uniform within +-1 / sqrt(inputs)."""
    net = nn.Sequential(nn.Linear(size, 2 * size), nn.Tanh(), nn.Linear(2 * size, size))
    for layer in (net[0], net[2]):
        assert isinstance(layer, nn.Linear)
        bound = layer.in_features**-0.5
        for weight in layer.parameters():
            drawn = torch.rand(weight.shape, generator=generator, device=generator.device)
            with torch.no_grad():
                weight.copy_((2 * drawn - 1) * bound)
    return net
