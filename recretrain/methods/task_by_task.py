"""Task by task: a source is learned once, then every task tunes weights of its own (peterrec.md, k)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.base import frozen
from recretrain.data.kinds import Histories, Questions
from recretrain.data.schedule import Task
from recretrain.errors import DataError
from recretrain.methods.base import B, Fit, Note, RetrainMethod
from recretrain.methods.learners.labels import Beside, Fitted, LabelLearner, LabelNet, by_history

Weights = dict[str, Tensor]  # by name

HEAD = "head"  # how the names of the labels' own weights begin


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
        self._nets: dict[str, tuple[Weights, Weights, LabelNet]] = {}  # made of the weights beside it
        self._fitted: Fitted | None = None
        self._told: dict[str, float] = {}

    @abstractmethod
    def begin(self, task: Task, fit: Fit) -> None:
        """Learn the source, the first task."""

    @abstractmethod
    def net(self, space: int) -> LabelNet:
        """A network for the labels of a space; what it tunes is its own, all else is the backbone's."""

    @abstractmethod
    def draw(self, net: LabelNet, generator: torch.Generator) -> None:
        """Give what a task tunes its first weights."""

    def beside(self, net: LabelNet, task: Task, fit: Fit) -> Beside | None:
        """Another loss of the same steps; none by default."""
        return None

    @property
    @abstractmethod
    def item_space(self) -> Tensor:
        """The vocabulary of each item.  # [n_items]"""

    @abstractmethod
    def whole(self, net: LabelNet) -> int:
        """The number of weights that tuning everything would change, for the share of those that are tuned."""

    def update(self, task: Task, fit: Fit) -> None:
        self._fitted = None
        if not task.past:
            self.begin(task, fit)
            return
        asked = task.period.questions
        if not len(asked):
            raise DataError(f"period {task.period.name} has no labels to learn from")
        space = str(int(self.item_space[asked.labels[0]]))
        with frozen(self.backbone):
            net = self.net(int(space))
            self.draw(net, fit.generator)
            if self.start == "warm":
                _load(net, {**self.shared, **self.tasks.get(space, {})})
            for weight in net.tuned().values():
                weight.requires_grad_(True)
            self._fitted = self.learner.fit(net, task.period, fit, self.beside(net, task, fit))
        self._keep(net, space)

    @torch.no_grad()
    def score(self, questions: Questions) -> Tensor:
        labels = questions.offered
        space = str(int(self.item_space[labels.flatten()[0]]))
        if space not in self.tasks:
            return self.backbone.score(questions)
        net = self._made(space)
        assert questions.history is not None
        return net.scores(by_history(net.features, questions.history, questions.user), labels)

    def trained_parameters(self) -> int:
        return int(self._told["tuned"]) if self._told else super().trained_parameters()

    def notes(self) -> Sequence[Note]:
        """Sizes of what the last task tuned, and the losses of its held-out labels by epoch."""
        if self._fitted is None:
            return ()
        losses = self._fitted.losses
        told = {
            **self._told,
            "fixed_answers": float(self.start == "cold"),
            "learning_rate": self._fitted.learning_rate,
            "steps": self._fitted.steps,
        }
        curve = [Note("valid_loss", epoch, loss) for epoch, loss in enumerate(losses, start=1)]
        return [*(Note(name, 0, value) for name, value in told.items()), *curve]

    def _keep(self, net: LabelNet, space: str) -> None:
        """Store what the task has tuned."""
        tuned = {name: weight.detach().clone() for name, weight in net.tuned().items()}
        size = sum(weight.numel() for weight in tuned.values())
        self._told = {"tuned": size, "tuned_share": size / self.whole(net), "task_bytes": _bytes(tuned)}
        if self.start == "warm":
            self.shared = {name: weight for name, weight in tuned.items() if not name.startswith(HEAD)}
            tuned = {name: weight for name, weight in tuned.items() if name.startswith(HEAD)}
            self._told["task_bytes"] = _bytes(tuned)
        self.tasks = {**self.tasks, space: tuned}

    def _made(self, space: str) -> LabelNet:
        """The network of a space, built once of the weights that are stored for it."""
        stored = self.tasks[space]
        made = self._nets.get(space)
        if made is None or made[0] is not stored or made[1] is not self.shared:
            net = self.net(int(space))
            _load(net, {**self.shared, **stored})
            made = self._nets[space] = (stored, self.shared, net.eval())
        return made[2]


def _load(net: LabelNet, weights: Weights) -> None:
    with torch.no_grad():
        for name, weight in net.tuned().items():
            if name in weights:
                weight.copy_(weights[name])


def _bytes(weights: Weights) -> int:
    return sum(weight.numel() * weight.element_size() for weight in weights.values())
