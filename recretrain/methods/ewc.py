"""EWC holds each weight the more firmly, the more yesterday's answers depended on it.

Kirkpatrick et al., PNAS 2017, as ADER's authors ran it (spec e): exemplars only to estimate what matters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy
from recretrain.backbones.tables import gradient_of
from recretrain.data.batches import permutation
from recretrain.data.prefixes import Prefixes
from recretrain.methods.base import Fit
from recretrain.methods.next_item import Loss, cross_entropy_of
from recretrain.methods.replay import Replay

Weights = dict[str, Tensor]  # by the name of a parameter


class EWC(Replay):
    """The Fisher information is that of the last period alone, not summed over periods, as released."""

    def __init__(
        self,
        *,
        backbone: SequenceBackbone,
        learns: str,
        inputs: str,
        start: str,
        adam: str,
        learning_rate: float,
        batch_size: int,
        epochs: int,
        patience: int,
        validation: float,
        validation_k: int,
        exemplars: int,
        quotas: str,
        selection: str,
        fisher_exemplars: int,
        weight: float,
    ) -> None:
        super().__init__(
            backbone=backbone,
            learns=learns,
            inputs=inputs,
            start=start,
            adam=adam,
            learning_rate=learning_rate,
            batch_size=batch_size,
            epochs=epochs,
            patience=patience,
            validation=validation,
            validation_k=validation_k,
            exemplars=exemplars,
            quotas=quotas,
            selection=selection,
        )
        self.fisher_exemplars = fisher_exemplars
        self.weight = weight

    def fit_with_exemplars(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        loss: Loss = cross_entropy_of
        if len(self.memory):
            chosen = permutation(len(self.memory), fit.generator)[: self.fisher_exemplars]
            matters = fisher(self.model, self.memory.kept.to(fit.device).at(chosen), before)
            loss = held(matters, self.weight, self.model)
        self.fit_to(train, held_out, loss, fit)


def fisher(model: SequenceBackbone, exemplars: Prefixes, known: int) -> Weights:
    """Mean over exemplars of the squared gradient of each one's own cross-entropy; `model` is in evaluation mode."""
    total = {name: torch.zeros_like(weight) for name, weight in model.named_parameters()}
    for entry in torch.arange(len(exemplars), device=exemplars.stop.device):
        one = exemplars.at(entry.view(1))
        model.zero_grad()
        cross_entropy(model.represent(*one.inputs(model.longest)), model.output, one.labels, known).backward()  # type: ignore[no-untyped-call]
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                total[name].addcmul_(weight.grad, weight.grad, value=1 / len(exemplars))
    model.zero_grad()
    return total


def held(matters: Weights, weight: float, model: nn.Module) -> Loss:
    """L_CE + weight / 2 x sum of F x (w - w*)^2; w* are the weights that `model` has now."""
    anchor = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def loss(backbone: SequenceBackbone, known: int, history: Tensor, user: Tensor, label: Tensor) -> Tensor:
        plain = cross_entropy_of(backbone, known, history, user, label)
        held: Tensor = _Held.apply(plain, dict(backbone.named_parameters()), matters, anchor, weight)  # type: ignore[no-untyped-call]
        return held

    return loss


class _Held(torch.autograd.Function):
    """Adds the penalty to a loss, and its gradient straight to the weights' own."""

    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, weights: dict[str, nn.Parameter], matters: Weights, anchor: Weights, weight: float
    ) -> Tensor:
        ctx.weights, ctx.matters, ctx.anchor, ctx.weight = weights, matters, anchor, weight
        costs = [(matters[name] * (held - anchor[name]) ** 2).sum() for name, held in weights.items()]
        return loss + weight / 2 * torch.stack(costs).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        for name, weight in ctx.weights.items():
            if weight.requires_grad:
                pull = (weight - ctx.anchor[name]).mul_(ctx.matters[name])
                gradient_of(weight).add_(pull.mul_(gradient * ctx.weight))
        return gradient, None, None, None, None
