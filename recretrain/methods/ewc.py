"""EWC holds each weight the more firmly, the more yesterday's answers depended on it.

Kirkpatrick et al., PNAS 2017, as ADER's authors ran it (ader.md, e): exemplars only to estimate what matters.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy
from recretrain.backbones.tables import gradient_of
from recretrain.data.batches import permutation
from recretrain.data.prefixes import Prefixes
from recretrain.methods.base import Fit
from recretrain.methods.learners.next_item import Loss, NextItemLearner, PrefixBatch, Split, plain
from recretrain.methods.parts.exemplars import Memory
from recretrain.methods.replay import Replay
from recretrain.values import AtLeast1, NotNegative

Weights = dict[str, Tensor]  # by the name of a parameter


class EWC(Replay):
    """Take the Fisher information of the last period alone, not summed over periods, as released.

    docs/methods/ader.md (e).
    """

    def __init__(
        self,
        *,
        backbone: SequenceBackbone,
        learner: NextItemLearner,
        memory: Memory,
        reads: Literal["new", "all"],
        start: Literal["warm", "cold"],
        fisher_exemplars: AtLeast1,
        weight: NotNegative,
    ) -> None:
        super().__init__(backbone=backbone, learner=learner, memory=memory, reads=reads, start=start)
        self.fisher_exemplars = fisher_exemplars
        self.weight = weight

    def fit_with_exemplars(self, split: Split, fit: Fit) -> None:
        loss: Loss = plain
        if len(self.memory):
            chosen = permutation(len(self.memory), fit.generator)[: self.fisher_exemplars]
            matters = fisher(self.backbone, self.memory.kept.to(fit.device).at(chosen), split.before)
            loss = anchored(matters, self.weight, self.backbone)
        self.learner.fit_to(self.backbone, split, loss, fit)


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


def anchored(matters: Weights, weight: float, model: nn.Module) -> Loss:
    """L_CE + weight / 2 x sum of F x (w - w*)^2; w* are the weights that `model` has now."""
    anchor = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    def loss(backbone: SequenceBackbone, known: int, batch: PrefixBatch) -> Tensor:
        weights = dict(backbone.named_parameters())
        total: Tensor = _Anchored.apply(plain(backbone, known, batch), weights, matters, anchor, weight)  # type: ignore[no-untyped-call]
        return total

    return loss


class _Anchored(torch.autograd.Function):
    """Adds the penalty to a loss, and its gradient straight to the weights' own."""

    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, weights: dict[str, nn.Parameter], matters: Weights, anchor: Weights, weight: float
    ) -> Tensor:
        ctx.weights, ctx.matters, ctx.anchor, ctx.weight = weights, matters, anchor, weight
        costs = [(matters[name] * (now - anchor[name]) ** 2).sum() for name, now in weights.items()]
        return loss + weight / 2 * torch.stack(costs).sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        for name, weight in ctx.weights.items():
            if weight.requires_grad:
                pull = (weight - ctx.anchor[name]).mul_(ctx.matters[name])
                gradient_of(weight).add_(pull.mul_(gradient * ctx.weight))
        return gradient, None, None, None, None
