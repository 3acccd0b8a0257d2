"""ADER replays a few exemplars of the past and holds their old answers, more strongly the older the known items are.

Mi, Lin, Faltings, RecSys 2020; docs/methods/ader.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy, distillation
from recretrain.data.batches import permutation
from recretrain.data.interactions import PAD
from recretrain.data.prefixes import Prefixes
from recretrain.methods.base import Fit
from recretrain.methods.learners.next_item import Beside, Exemplars, Loss, NextItemLearner, PrefixBatch, Split, plain
from recretrain.methods.parts.exemplars import Memory
from recretrain.methods.replay import Replay, representations
from recretrain.values import NotNegative


class ADER(Replay):
    """ADER and its ablations: docs/methods/ader.md, parts d to f.

    The teacher is the model as the cycle finds it: its vectors of the exemplars and its item table give all of its
    answers, at a hundredth of their size.
    """

    def __init__(
        self,
        *,
        backbone: SequenceBackbone,
        learner: NextItemLearner,
        memory: Memory,
        reads: Literal["new", "all"],
        start: Literal["warm", "cold"],
        distil: bool,
        weight: NotNegative,
        weight_adapts: bool,
    ) -> None:
        super().__init__(backbone=backbone, learner=learner, memory=memory, reads=reads, start=start)
        self.distil = distil
        self.weight = weight
        self.weight_adapts = weight_adapts

    def fit_with_exemplars(self, split: Split, fit: Fit) -> None:
        model = self.backbone
        if not len(self.memory):
            self.learner.fit_to(model, split, plain, fit)
            return
        weight = self.weight
        if self.weight_adapts:
            weight *= adaptive(split.before, split.known, len(self.memory), len(split.train))
        exemplars = self.memory.kept.to(fit.device)
        loss, answers = replayed(weight), None
        if self.distil:
            loss = distilled(weight, model.output[: split.before].detach().clone())
            answers = representations(model, exemplars)
        beside = exemplar_stream(exemplars, model.longest, answers, fit.generator)
        self.learner.fit_to(model, split, loss, fit, beside)


def adaptive(known_before: int, known: int, exemplars: int, new: int) -> float:
    """sqrt(|I_t-1| / |I_t| x |E_t-1| / |D_t|), of which lambda_t is the lambda_base-fold (ader.md, e)."""
    return math.sqrt(known_before / known * exemplars / new)


def distilled(weight: float, teacher: Tensor) -> Loss:
    """L_CE + weight x L_KD (ader.md, e).  # teacher: [I_t-1, d]"""

    def second(backbone: SequenceBackbone, known: int, features: Tensor, exemplars: Exemplars) -> Tensor:
        assert exemplars.answer is not None
        return distillation(features, backbone.output, exemplars.answer, teacher)

    return _with_exemplars(weight, second)


def replayed(weight: float) -> Loss:
    """L_CE + weight x the exemplars' own labels' cross-entropy (ER-*)."""

    def second(backbone: SequenceBackbone, known: int, features: Tensor, exemplars: Exemplars) -> Tensor:
        return cross_entropy(features, backbone.output, exemplars.label, known)

    return _with_exemplars(weight, second)


def _with_exemplars(weight: float, second: Callable[[SequenceBackbone, int, Tensor, Exemplars], Tensor]) -> Loss:
    """L_CE + weight x a `second` loss of the exemplars, which pass the network together with the new rows."""

    def loss(backbone: SequenceBackbone, known: int, batch: PrefixBatch) -> Tensor:
        if batch.exemplars is None:  # of several processes, one that has none of them
            return plain(backbone, known, batch)
        new, old = _together(backbone, batch, batch.exemplars)
        kept = second(backbone, known, old, batch.exemplars)
        return cross_entropy(new, backbone.output, batch.label, known) + weight * batch.exemplars.share * kept

    return loss


def exemplar_stream(exemplars: Prefixes, longest: int, answers: Tensor | None, generator: torch.Generator) -> Beside:
    """floor(|E| / steps) exemplars a step, from their own order that begins anew when used up (ader.md, f)."""

    def stream(steps: int) -> Iterator[Exemplars]:
        size = max(1, len(exemplars) // steps)
        while True:
            for part in torch.split(permutation(len(exemplars), generator), size):
                chosen = exemplars.at(part)
                answer = None if answers is None else answers[part]
                yield Exemplars(*chosen.inputs(longest), chosen.labels, answer)

    return stream


def _together(backbone: SequenceBackbone, new: PrefixBatch, old: Exemplars) -> tuple[Tensor, Tensor]:
    width = max(new.history.shape[1], old.history.shape[1])
    histories = torch.cat([_padded(history, width) for history in (new.history, old.history)])
    features = backbone.represent(histories, torch.cat([new.user, old.user]))
    return features[: len(new.user)], features[len(new.user) :]


def _padded(history: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(history, (width - history.shape[1], 0), value=PAD)
