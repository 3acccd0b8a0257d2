"""ADER replays a few exemplars of the past and holds their old answers, more strongly the older the known items are.

Mi, Lin, Faltings, RecSys 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.softmax import cross_entropy, distillation
from recretrain.data.prefixes import Prefixes, joined
from recretrain.methods.base import Fit
from recretrain.methods.next_item import Beside, Loss, NextItem, NextItemLoss, cross_entropy_of, permutation
from recretrain.methods.parts.exemplars import Candidates, Memory

_CHUNK = 512  # histories represented together


class Replay(NextItem):
    """Keeps exemplars from cycle to cycle; what they are for, a subclass says."""

    def __init__(self, *, exemplars: int, quotas: str, selection: str, **options: Any) -> None:
        super().__init__(**options)
        self.memory = Memory(size=exemplars, quotas=quotas, selection=selection, longest=self.model.longest)

    def learn(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        self.fit_with_exemplars(train, held_out, before, fit)
        self.remember(joined([train.with_input(), held_out, self.memory.kept.to(fit.device)]), fit)

    def fit_with_exemplars(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        raise NotImplementedError

    def remember(self, candidates: Prefixes, fit: Fit) -> None:
        """Choose tomorrow's exemplars with today's model, from all that may be kept."""
        history = candidates.histories(self.model.longest)
        self.memory.rebuild(
            Candidates(
                candidates,
                features=lambda: representations(self.model, history),
                losses=lambda: losses(self.model, history, candidates.labels, self.known),
            ),
            self.known,
            fit.generator,
        )

    def extra_state(self) -> dict[str, Any]:
        return {**super().extra_state(), "memory": self.memory.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        super().load_extra_state(state)
        self.memory.load(state["memory"])


class ADER(Replay):
    """Spec (d)-(f). The teacher is the model as the cycle finds it: its vectors of the exemplars and its item table
    say all of its answers, at a hundredth of their size.
    """

    def __init__(
        self,
        *,
        backbone: SequenceBackbone,
        learns: str,
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
            self.fit_to(train, held_out, NextItemLoss(self, cross_entropy_of), [], fit)
            return
        weight = self.weight
        if self.weight_adapts:
            weight *= adaptive(before, self.known, len(self.memory), len(train))
        exemplars = self.memory.kept.to(fit.device)
        if self.distil:
            loss, answers = distilled(weight, self.model.output[:before].detach().clone()), [
                representations(self.model, exemplars.histories(self.model.longest))
            ]
        else:
            loss, answers = replayed(weight), []
        beside = exemplar_stream(exemplars, self.model.longest, answers, fit.generator)
        self.fit_to(train, held_out, NextItemLoss(self, loss), [beside], fit)


def adaptive(known_before: int, known: int, exemplars: int, new: int) -> float:
    """sqrt(|I_t-1| / |I_t| x |E_t-1| / |D_t|), of which lambda_t is the lambda_base-fold (spec e)."""
    return math.sqrt(known_before / known * exemplars / new)


def distilled(weight: float, teacher: Tensor) -> Loss:
    """L_CE + weight x L_KD (spec e); new rows and exemplars pass the network together.  # teacher: [I_t-1, d]"""

    def loss(
        backbone: SequenceBackbone, known: int, history: Tensor, label: Tensor, old: Tensor, _: Tensor, taught: Tensor
    ) -> Tensor:
        new_features, old_features = _together(backbone, history, old)
        kept = distillation(old_features, backbone.output, taught, teacher)
        return cross_entropy(new_features, backbone.output, label, known) + weight * kept

    return loss


def replayed(weight: float) -> Loss:
    """The second term is the exemplars' own labels' cross-entropy (ER-*)."""

    def loss(
        backbone: SequenceBackbone, known: int, history: Tensor, label: Tensor, old: Tensor, old_label: Tensor
    ) -> Tensor:
        new_features, old_features = _together(backbone, history, old)
        kept = cross_entropy(old_features, backbone.output, old_label, known)
        return cross_entropy(new_features, backbone.output, label, known) + weight * kept

    return loss


def exemplar_stream(
    exemplars: Prefixes, longest: int, answers: list[Tensor], generator: torch.Generator
) -> Beside:
    """floor(|E| / steps) exemplars a step, from an order of their own that begins anew when it is used up (spec f)."""

    def stream(steps: int) -> Iterator[tuple[Tensor, ...]]:
        size = max(1, len(exemplars) // steps)
        while True:
            for part in torch.split(permutation(len(exemplars), generator, exemplars.stop.device), size):
                chosen = exemplars.at(part)
                yield chosen.histories(longest), chosen.labels, *(answer[part] for answer in answers)

    return stream


@torch.no_grad()
def representations(model: SequenceBackbone, history: Tensor) -> Tensor:
    """[N, T] -> [N, d]"""
    return torch.cat([model.represent(part) for part in torch.split(history, _CHUNK)])


@torch.no_grad()
def losses(model: SequenceBackbone, history: Tensor, label: Tensor, known: int) -> Tensor:
    """Cross-entropy of each label over the known items.  # [N, T], [N] -> [N]"""
    parts = []
    for part, wanted in zip(torch.split(history, _CHUNK), torch.split(label, _CHUNK), strict=True):
        scores = model.represent(part) @ model.output[:known].T
        parts.append(torch.nn.functional.cross_entropy(scores, wanted, reduction="none"))
    return torch.cat(parts)


def _together(backbone: SequenceBackbone, history: Tensor, old: Tensor) -> tuple[Tensor, Tensor]:
    width = max(history.shape[1], old.shape[1])
    both = torch.cat([_padded(history, width), _padded(old, width)])
    new_features, old_features = backbone.represent(both).split([len(history), len(old)])
    return new_features, old_features


def _padded(history: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(history, (width - history.shape[1], 0), value=-1)
