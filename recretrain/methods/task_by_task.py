"""Task by task: a source is learned once, then every downstream task tunes a few weights of its own (peterrec.md, k)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor

from recretrain.backbones.base import frozen
from recretrain.data.kinds import Histories, Questions, TestSet
from recretrain.data.schedule import Task
from recretrain.errors import DataError
from recretrain.methods.base import B, Fit, Note, RetrainMethod
from recretrain.methods.learners.labels import Beside, Fitted, LabelLearner, LabelNet, by_history

Weights = dict[str, Tensor]  # by name


class TaskByTask(RetrainMethod[B], ABC):
    """Each space of labels has weights of its own, what its task tunes; the newest task of a space replaces them.

    `start=cold`: every task begins from the source's network, so that no later task changes an earlier one's answers.
    `warm`: one network goes on from task to task, and only the labels' rows are each task's own.
    """

    learns_from = Histories
    kept = ("tasks", "shared")

    def __init__(self, *, backbone: B, learner: LabelLearner, start: Literal["cold", "warm"]) -> None:
        super().__init__(backbone=backbone)
        self.learner = learner
        self.start = start
        self.tasks: dict[str, Weights] = {}  # by the number of the space
        self.shared: Weights = {}  # of the network that goes on
        self._nets: dict[str, tuple[Weights, LabelNet]] = {}  # made of the weights beside it
        self._fitted: Fitted | None = None

    @abstractmethod
    def begin(self, task: Task, fit: Fit) -> None:
        """Learn the source, the first task."""

    @abstractmethod
    def net(self, space: int) -> LabelNet:
        """A network for the labels of a space, with what it tunes marked by `requires_grad`."""

    @abstractmethod
    def draw(self, net: LabelNet, fit: Fit) -> None:
        """Give what a task tunes its first weights."""

    def beside(self, net: LabelNet, task: Task, fit: Fit) -> Beside | None:
        """Another loss of the same steps; none by default."""
        return None

    def network_part(self, name: str) -> bool:
        """Whether a tuned weight belongs to the network, not to the labels."""
        return not name.startswith("head")

    def update(self, task: Task, fit: Fit) -> None:
        self._fitted = None
        if not task.past:
            self.begin(task, fit)
            return
        space = self._space(task.period.questions)
        net = self.net(space)
        self.draw(net, fit)
        self._go_on(net, str(space))
        with frozen(self.backbone):
            for weight in net.tuned().values():
                weight.requires_grad_(True)
            self._fitted = self.learner.fit(net, task.period, fit, self.beside(net, task, fit))
        self._keep(net, str(space))

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        space = str(self._space(questions))
        if space not in self.tasks:
            return self.backbone.score(questions)
        net = self._made(space)
        assert questions.history is not None
        features = by_history(net.features, questions.history, questions.user)
        labels = questions.catalogue if questions.candidates is None else questions.candidates
        assert labels is not None
        return net.scores(features, labels)

    def trained_parameters(self) -> int:
        return self._tuned() or super().trained_parameters()

    def notes(self) -> Sequence[Note]:
        """What the last task tuned, what is stored for it, and the losses of its held-out labels by epoch."""
        if self._fitted is None:
            return ()
        stored = self.tasks[self._newest]
        size = sum(weight.numel() * weight.element_size() for weight in stored.values())
        curve = [Note("valid_loss", epoch, loss) for epoch, loss in enumerate(self._fitted.losses, start=1)]
        return [
            Note("tuned", 0, self._tuned()),
            Note("tuned_share", 0, self._tuned() / self._whole),
            Note("task_bytes", 0, size),
            Note("fixed_answers", 0, float(self.start == "cold")),
            Note("learning_rate", 0, self._fitted.learning_rate),
            Note("steps", 0, self._fitted.steps),
            *curve,
        ]

    def _go_on(self, net: LabelNet, space: str) -> None:
        """Take up the weights of the network that goes on, and of this space's labels, where there are any."""
        if self.start == "warm":
            _load(net, {**self.shared, **self.tasks.get(space, {})})
