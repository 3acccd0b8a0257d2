"""Replay rebuilds a memory of exemplars after every period; what they are for, a subclass says."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from recretrain.backbones.products import times
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.data.prefixes import Prefixes, joined
from recretrain.methods.base import Fit
from recretrain.methods.next_item import NextItem
from recretrain.methods.parts.exemplars import Candidates, Memory

_CHUNK = 512  # histories represented together


class Replay(NextItem):
    """Spec (d): candidates are the period's prefixes, held-out ones too, and the exemplars kept so far."""

    def __init__(self, *, exemplars: int, quotas: str, selection: str, **options: Any) -> None:
        super().__init__(**options)
        self.memory = Memory(size=exemplars, quotas=quotas, selection=selection, longest=self.model.longest)

    def learn(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        self.fit_with_exemplars(train, held_out, before, fit)
        self.remember(joined([train.with_input(), held_out, self.memory.kept.to(fit.device)]), fit)

    @abstractmethod
    def fit_with_exemplars(self, train: Prefixes, held_out: Prefixes, before: int, fit: Fit) -> None:
        """Fit to `train`; `before` items were known to the model so far."""

    def remember(self, candidates: Prefixes, fit: Fit) -> None:
        """Choose tomorrow's exemplars with today's model, from all that may be kept."""
        self.memory.rebuild(
            Candidates(
                candidates,
                features=lambda: representations(self.model, candidates),
                losses=lambda: losses(self.model, candidates, self.known),
            ),
            self.known,
            fit.generator,
        )

    def extra_state(self) -> dict[str, Any]:
        return {**super().extra_state(), "memory": self.memory.state()}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        super().load_extra_state(state)
        self.memory.load(state["memory"])


@torch.no_grad()
def representations(model: SequenceBackbone, prefixes: Prefixes) -> Tensor:
    """What the model makes of each input.  # [N, d]"""
    return torch.cat([model.represent(*part.inputs(model.longest)) for part in _chunks(prefixes)])


@torch.no_grad()
def losses(model: SequenceBackbone, prefixes: Prefixes, known: int) -> Tensor:
    """Cross-entropy of each label over the known items.  # [N]"""
    parts = []
    for part in _chunks(prefixes):
        scores = times(model.represent(*part.inputs(model.longest)), model.output[:known])
        parts.append(torch.nn.functional.cross_entropy(scores, part.labels, reduction="none"))
    return torch.cat(parts)


def _chunks(prefixes: Prefixes) -> Iterator[Prefixes]:
    return (prefixes.at(part) for part in torch.split(torch.arange(len(prefixes), device=prefixes.stop.device), _CHUNK))
