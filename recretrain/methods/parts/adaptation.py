"""Local updates fit a network to each user's support, all users of a batch at once (melu.md, d)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from recretrain.backbones.content import ContentNet, Inputs, Layers, activations, decide
from recretrain.backbones.lengths import by_length, put_together
from recretrain.data.kinds import Support
from recretrain.values import AtLeast0, Positive

_GROUPS = (16, 48)  # users with supports up to these lengths are computed together

Weights = Mapping[str, Tensor]  # by the name of a parameter


class LocalUpdates:
    """Steps of gradient descent on a user's own ratings, made for an answer and never kept.

    `adapts`: the layers behind the tables (MeLU) or all weights (MAML). `order`: whether the outer gradient flows
    through the steps. `answer_steps`: steps when answering; None: as many as in training.
    """

    def __init__(
        self,
        *,
        steps: AtLeast0,
        learning_rate: Positive,
        adapts: Literal["decisions", "all"],
        order: Literal["first", "second"],
        answer_steps: AtLeast0 | None,
    ) -> None:
        self.steps = steps
        self.learning_rate = learning_rate
        self.adapts = adapts
        self.order = order
        self.answer_steps = steps if answer_steps is None else answer_steps

    def predict(self, net: ContentNet, user: Tensor, support: Support, asked: Tensor) -> Tensor:
        """Ratings of `asked` as in training, differentiable by the weights.  # [B], [B, S], [B, n] -> [B, n]"""
        return self._predict(net, user, support, asked, first=self.order == "first", steps=self.steps)

    def answer(self, net: ContentNet, user: Tensor, support: Support, asked: Tensor) -> Tensor:
        """Ratings of `asked`; call it without gradients.  # [B], [B, S], [B, n] -> [B, n]"""
        return self._predict(net, user, support, asked, first=True, steps=self.answer_steps)

    def _predict(
        self, net: ContentNet, user: Tensor, support: Support, asked: Tensor, *, first: bool, steps: int
    ) -> Tensor:
        if steps and self.adapts == "all":
            rate = self.learning_rate
            return answered_by_all(net, user, support, asked, steps=steps, learning_rate=rate, first=first)
        inputs, layers = net.inputs(user, asked), net.decision_layers()
        if not steps:
            return decide(inputs, layers)
        length = (support.item >= 0).sum(1)
        order, parts = [], []
        for rows, _ in by_length(length, _GROUPS, support.item.shape[1]):
            longest = max(1, int(length[rows].max()))
            own = Support(support.item[rows, :longest], support.rating[rows, :longest])
            local = self.adapted_layers(net, user[rows], own, layers, first=first, steps=steps)
            order.append(rows)
            parts.append(decide(inputs.rows(rows), local))
        return put_together(parts, order)

    def adapted_layers(
        self, net: ContentNet, user: Tensor, support: Support, layers: Layers, *, first: bool, steps: int
    ) -> Layers:
        """The decision layers of each user after the steps."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not first):
            inputs = net.inputs(user, support.item.clamp(min=0))
            known = (support.item >= 0).float()
            local = adapted(inputs, support.rating, known, layers, steps=steps, learning_rate=self.learning_rate)
        return per_user(layers, local) if first else local


def adapted(
    inputs: Inputs, rating: Tensor, known: Tensor, layers: Layers, *, steps: int, learning_rate: float
) -> Layers:
    """`layers` after `steps` of gradient descent on each user's mean squared error.

    Differentiable, so that a second-order outer gradient goes through it; call it without gradients for the first
    order and for answering.  # [B, S] rows, [B, S], [B, S] -> one of each layer for every user
    """
    share = known / known.sum(1, keepdim=True).clamp(min=1)
    for _ in range(steps):
        layers = [
            (weight - learning_rate * down, bias - learning_rate * aside)
            for (weight, bias), (down, aside) in zip(layers, _gradients(inputs, rating, share, layers), strict=True)
        ]
    return layers


def per_user(layers: Layers, change: Layers) -> Layers:
    """`layers`, through which gradients flow, moved to where `change` is, through which none do (first order)."""
    return [
        (weight + (moved - weight).detach(), bias + (shifted - bias).detach())
        for (weight, bias), (moved, shifted) in zip(layers, change, strict=True)
    ]


def _gradients(inputs: Inputs, rating: Tensor, share: Tensor, layers: Layers) -> Layers:
    """Of each user's loss, by the chain rule.  # weights [B, out, in], biases [B, out]"""
    *hidden, predicted = activations(inputs, layers)
    error = (2 * share * (predicted.squeeze(2) - rating)).unsqueeze(2)  # [B, S, 1]
    gradients: Layers = []
    for place in reversed(range(len(layers))):
        down = error.mT @ hidden[place - 1] if place else inputs.gradient(error)
        gradients.insert(0, (down, error.sum(1)))
        if place:
            error = (error @ layers[place][0]) * (hidden[place - 1] > 0)
    return gradients


def answered_by_all(
    net: ContentNet,
    user: Tensor,
    support: Support,
    asked: Tensor,
    *,
    steps: int,
    learning_rate: float,
    first: bool,
) -> Tensor:
    """Ratings of `asked` after local steps of all weights, tables too, on each user's support (item -1: none).

    `first`: no gradient flows through the steps.  # [B], [B, S], [B, n] -> [B, n]
    """
    weights: Weights = dict(net.named_parameters())

    def predict(local: Weights, user: Tensor, item: Tensor) -> Tensor:
        rated: Tensor = functional_call(net, dict(local), (user.unsqueeze(0), item.unsqueeze(0)))[0]
        return rated

    def loss(local: Weights, user: Tensor, item: Tensor, rating: Tensor, share: Tensor) -> Tensor:
        return ((predict(local, user, item) - rating).pow(2) * share).sum()

    def answer(user: Tensor, item: Tensor, rating: Tensor, share: Tensor, asked: Tensor) -> Tensor:
        local: Weights = weights
        for _ in range(steps):
            slope = grad(loss)(local, user, item, rating, share)
            step = {name: down.detach() if first else down for name, down in slope.items()}
            local = {name: weight - learning_rate * step[name] for name, weight in local.items()}
        return predict(local, user, asked)

    item, rating = support.item, support.rating
    known = (item >= 0).float()
    share = known / known.sum(1, keepdim=True).clamp(min=1)
    answers: Tensor = vmap(answer)(user, item.clamp(min=0), rating, share, asked)
    return answers
