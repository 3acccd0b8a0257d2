"""A method is how to retrain: what is fitted on what, in which order, and what is remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from recretrain.backbones.base import Backbone
from recretrain.data.batches import Epoch
from recretrain.data.schedule import Task
from recretrain.data.stream import Questions


class Fit(Protocol):
    """Fits an objective; also says where and with which random numbers (both made anew for each task)."""

    device: torch.device
    generator: torch.Generator  # on `device`, seeded by (seed, task index)

    def __call__(self, objective: LightningModule, data: Epoch, *, epochs: int) -> None: ...


class RetrainMethod(ABC):
    """A new method is one subclass and one file of conf/method; the runner serves it without an edit."""

    def __init__(self, *, backbone: Backbone) -> None:
        self.backbone = backbone

    @abstractmethod
    def update(self, task: Task, fit: Fit) -> None:
        """Learn `task.period`. The first task of a run (`not task.past`) is the warm-up. Never calls `task.tests`."""

    def score(self, questions: Questions) -> Tensor:
        """Higher is better; must not change what is learned.  # [B, C], or [B, I] over `questions.catalogue`"""
        return self.backbone.score(questions)

    def extra_state(self) -> dict[str, Any]:
        """All that must survive a crash besides the backbone: tensors and plain builtins only."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `extra_state` gave."""
        if state:
            raise ValueError(f"{type(self).__name__} cannot take back the state it gave: {sorted(state)}")

    def trained_parameters(self) -> int:
        """How many numbers training may change, in the backbone and besides it."""
        return sum(p.numel() for p in self.backbone.parameters() if p.requires_grad)


def one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"method.{option}={value}: give {' or '.join(allowed)}")
