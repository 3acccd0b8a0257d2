"""ADER replays a few exemplars of the past and holds their old answers, more strongly the older the known items are.

Mi, Lin, Faltings, RecSys 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy, distillation
from recretrain.data.batches import permutation
from recretrain.data.prefixes import PAD, Prefixes
from recretrain.methods.base import Fit
from recretrain.methods.next_item import Beside, Loss, cross_entropy_of
from recretrain.methods.replay import Replay, representations

Inputs = tuple[Tensor, Tensor]  # histories and users


class ADER(Replay):
    """Spec (d)-(f). The teacher is the model as the cycle finds it: its vectors of the exemplars and its item table
    say all of its answers, at a hundredth of their size.
    """

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
        distil: bool,
        weight: float,
        weight_adapts: bool,
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
        self.distil = distil
        self.weight = weight
        self.weight_adapts = weight_adapts

    def fit_with_exemplars(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        if not len(self.memory):
            self.fit_to(train, held_out, cross_entropy_of, fit)
            return
        weight = self.weight
        if self.weight_adapts:
            weight *= adaptive(before, self.known, len(self.memory), len(train))
        exemplars = self.memory.kept.to(fit.device)
        loss, answers = replayed(weight), []
        if self.distil:
            loss = distilled(weight, self.model.output[:before].detach().clone())
            answers = [representations(self.model, exemplars)]
        beside = exemplar_stream(exemplars, self.model.longest, answers, fit.generator)
        self.fit_to(train, held_out, loss, fit, beside)


def adaptive(known_before: int, known: int, exemplars: int, new: int) -> float:
    """sqrt(|I_t-1| / |I_t| x |E_t-1| / |D_t|), of which lambda_t is the lambda_base-fold (spec e)."""
    return math.sqrt(known_before / known * exemplars / new)


def distilled(weight: float, teacher: Tensor) -> Loss:
    """L_CE + weight x L_KD (spec e).  # teacher: [I_t-1, d]"""

    def kept(backbone: SequenceBackbone, known: int, features: Tensor, _: Tensor, taught: Tensor) -> Tensor:
        return distillation(features, backbone.output, taught, teacher)

    return _with_exemplars(weight, kept)


def replayed(weight: float) -> Loss:
    """The second term is the exemplars' own labels' cross-entropy (ER-*)."""

    def kept(backbone: SequenceBackbone, known: int, features: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(features, backbone.output, label, known)

    return _with_exemplars(weight, kept)


def _with_exemplars(weight: float, kept: Loss) -> Loss:
    """L_CE + weight x what is `kept` of exemplars; new rows and exemplars pass the network together."""

    def loss(
        backbone: SequenceBackbone,
        known: int,
        history: Tensor,
        user: Tensor,
        label: Tensor,
        old: Tensor,
        old_user: Tensor,
        *targets: Tensor,
    ) -> Tensor:
        new_features, old_features = _together(backbone, (history, user), (old, old_user))
        second = kept(backbone, known, old_features, *targets)
        return cross_entropy(new_features, backbone.output, label, known) + weight * second

    return loss


def exemplar_stream(exemplars: Prefixes, longest: int, answers: list[Tensor], generator: torch.Generator) -> Beside:
    """floor(|E| / steps) exemplars a step, from an order of their own that begins anew when it is used up (spec f)."""

    def stream(steps: int) -> Iterator[tuple[Tensor, ...]]:
        size = max(1, len(exemplars) // steps)
        while True:
            for part in torch.split(permutation(len(exemplars), generator), size):
                chosen = exemplars.at(part)
                yield *chosen.inputs(longest), chosen.labels, *(answer[part] for answer in answers)

    return stream


def _together(backbone: SequenceBackbone, new: Inputs, old: Inputs) -> tuple[Tensor, Tensor]:
    width = max(history.shape[1] for history, _ in (new, old))
    histories = torch.cat([_padded(history, width) for history, _ in (new, old)])
    features = backbone.represent(histories, torch.cat([user for _, user in (new, old)]))
    return features[: len(new[1])], features[len(new[1]) :]


def _padded(history: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(history, (width - history.shape[1], 0), value=PAD)
