"""Local updates fit the decision layers to each user's support, all users of a batch at once and without autograd."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.func import functional_call, grad, vmap

from recretrain.backbones.content import ContentNet, Inputs, Layers, activations

Weights = Mapping[str, Tensor]  # by the name of a parameter


def adapted(
    inputs: Inputs, rating: Tensor, there: Tensor, layers: Layers, *, steps: int, learning_rate: float
) -> Layers:
    """`layers` after `steps` of gradient descent on each user's mean squared error (MeLU, spec d).

    Differentiable, so that a second-order outer gradient goes through it; call it without gradients for the first
    order and for answering.  # [B, S] rows, [B, S], [B, S] -> one of each layer for every user
    """
    share = there / there.sum(1, keepdim=True).clamp(min=1)
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
    item: Tensor,
    rating: Tensor,
    asked: Tensor,
    *,
    steps: int,
    learning_rate: float,
    first: bool,
) -> Tensor:
    """Ratings of `asked` after local steps of all weights, tables too, on each user's support (item -1: none).

    `first`: no gradient flows through the steps.  # [B], [B, S], [B, S], [B, n] -> [B, n]
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

    there = (item >= 0).float()
    share = there / there.sum(1, keepdim=True).clamp(min=1)
    answers: Tensor = vmap(answer)(user, item.clamp(min=0), rating, share, asked)
    return answers
