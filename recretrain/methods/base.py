"""A method is how to retrain: what is fitted on what, in which order, and what is remembered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from recretrain.backbones.base import Backbone
from recretrain.data.batches import Epoch
from recretrain.data.kinds import Questions, TestSet
from recretrain.data.schedule import Task
from recretrain.methods.state import Stateful

B = TypeVar("B", bound=Backbone)


class Note(NamedTuple):
    """A figure of an update that tables and plots may show, such as the loss on validation after epoch k."""

    name: str
    k: int  # 0 where there is nothing to count
    value: float


class Fit(Protocol):
    """Fits an objective; also says where and with which random numbers (both made anew for each task)."""

    device: torch.device
    generator: torch.Generator  # on `device`, seeded by (seed, task index)

    def __call__(self, objective: LightningModule, data: Epoch, *, epochs: int) -> None: ...

    def measured(self, value: float) -> None:
        """Note what held-out data say after the last epoch; it is kept beside the epoch's loss."""

    def once(self, name: str, backbone: Backbone, train: Callable[[], None]) -> None:
        """Train `backbone` by `train`, or take the weights that another run got in the very same way.

        The same way is: the same data and period, backbone, seed, and settings below `method.<name>`. Random numbers
        go on as if `train` had been called. `train` must change nothing but `backbone`.
        """


class RetrainMethod(ABC, Stateful, Generic[B]):
    """A new method is one subclass and one file of conf/method; the runner serves it without an edit.

    The type of the `backbone` that the constructor takes says which ones it trains. Its state is its parts
    (`Stateful`): the backbone, and all that must survive a crash besides it.
    """

    answers: ClassVar[type[TestSet] | None] = None  # the kind of questions it answers; None: those of its backbone
    learns_from: ClassVar[type[TestSet] | None] = None  # the kind that it learns from; None: from rows of any data

    threads: ClassVar[int | None] = None  # of torch, beyond which it is no faster; None: that depends on its sizes
    grows_apart: ClassVar[str | None] = None  # as of a backbone: why a grown run is not one that knew all ids before

    def __init__(self, *, backbone: B) -> None:
        self.backbone = backbone.eval()  # dropout is on inside a fit alone

    @abstractmethod
    def update(self, task: Task, fit: Fit) -> None:
        """Learn `task.period`. The first task of a run (`not task.past`) is the warm-up. Never calls `task.tests`."""

    def score(self, questions: Questions) -> Tensor:
        """Higher is better; must not change what is learned.  # [B, C], or [B, I] over `questions.catalogue`"""
        return self.backbone.score(questions)

    def notes(self) -> Sequence[Note]:
        """Figures of the last update, kept with the task's rows."""
        return ()

    def about(self, test: TestSet) -> Mapping[str, float]:
        """Figures about what a test gives to answer by, such as the share of items that the model knows, by name.

        Never about its labels.
        """
        return {}

    def trained_parameters(self) -> int:
        """The number of weights that training may change, in the backbone and besides it."""
        return sum(p.numel() for p in self.backbone.parameters() if p.requires_grad)
