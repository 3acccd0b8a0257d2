"""Replay rebuilds a memory of exemplars after every period; a subclass says how they take part in the next fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.products import times
from recretrain.backbones.sequence import SequenceBackbone
from recretrain.data.prefixes import Prefixes, joined
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson
from recretrain.methods.learners.next_item import NextItemLearner, Split
from recretrain.methods.parts.exemplars import Candidates, Memory
from recretrain.methods.retrain import Retrain

_CHUNK, _GPU_CHUNK = 512, 4096  # histories represented together


class Replay(Retrain[SequenceBackbone]):
    """Candidates are the period's prefixes, held-out ones too, and the exemplars kept so far (ader.md, d)."""

    learner: NextItemLearner

    def __init__(
        self,
        *,
        backbone: SequenceBackbone,
        learner: NextItemLearner,
        memory: Memory,
        reads: Literal["new", "all"],
        start: Literal["warm", "cold"],
    ) -> None:
        super().__init__(backbone=backbone, learner=learner, pretraining=None, reads=reads, start=start)
        self.memory = memory

    def learn(self, lesson: Lesson, fit: Fit) -> None:
        split = self.learner.split(lesson, fit)
        self.fit_with_exemplars(split, fit)
        self.remember(joined([split.train.with_input(), split.held_out, self.memory.kept.to(fit.device)]), fit)

    @abstractmethod
    def fit_with_exemplars(self, split: Split, fit: Fit) -> None:
        """Fit to the split's prefixes, with the memory as it is."""

    def remember(self, candidates: Prefixes, fit: Fit) -> None:
        """Choose tomorrow's exemplars with today's model, from all that may be kept."""
        known = self.learner.known
        self.memory.rebuild(
            Candidates(
                candidates,
                features=lambda: representations(self.backbone, candidates),
                losses=lambda: losses(self.backbone, candidates, known),
            ),
            known,
            self.backbone.longest,
            fit.generator,
        )


@torch.no_grad()
def representations(model: SequenceBackbone, prefixes: Prefixes) -> Tensor:
    """The vector of each input.  # [N, d]"""
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
    device = prefixes.stop.device
    size = _CHUNK if device.type == "cpu" else _GPU_CHUNK
    return (prefixes.at(part) for part in torch.split(torch.arange(len(prefixes), device=device), size))
