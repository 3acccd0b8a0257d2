"""Retrain is the policy that most methods share: what is read, and where a fit starts; how to fit is the learner's."""

from __future__ import annotations

from typing import Literal

from recretrain.data.schedule import Task
from recretrain.errors import ConfigError
from recretrain.methods.base import B, Fit, RetrainMethod
from recretrain.methods.learners.base import Learner, Lesson, check_trains, pretrain


class Retrain(RetrainMethod[B]):
    """Fine-tune (`reads=new`), full-retrain (`all`) or frozen (`first`: the first task and nothing after it).

    `start`: every fit goes on from the last weights (`warm`) or from new ones, with new moments (`cold`).
    With `pretraining` the first task is fitted by that learner, once for all runs that share it.
    docs/methods/baselines.md says which methods are this class, and where their settings come from.
    """

    def __init__(
        self,
        *,
        backbone: B,
        learner: Learner[B] | None,
        pretraining: Learner[B] | None,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
    ) -> None:
        super().__init__(backbone=backbone)
        if learner is None and (pretraining is None or reads != "first"):
            raise ConfigError("method.learner=null has nothing to fit with; give a learner, or method.reads=first")
        self.learner = learner
        self.pretraining = pretraining
        self.reads = reads
        self.start = start
        for used in (learner, pretraining):
            if used is not None:
                check_trains(backbone, used)

    def update(self, task: Task, fit: Fit) -> None:
        if task.past and self.reads == "first":
            return
        pretrains = self.pretraining is not None and not task.past
        cold = self.start == "cold" and not pretrains
        lesson = Lesson(task.period, task.past, whole=self.reads == "all", cold=cold)
        if pretrains:
            self.pretrain(lesson, fit)
            return
        if cold:
            self.backbone.draw(fit.generator)
            if self.learner is not None:
                self.learner.renew()
        self.learn(lesson, fit)

    def pretrain(self, lesson: Lesson, fit: Fit) -> None:
        """Fit the first task by `pretraining`, whose moments are then forgotten."""
        assert self.pretraining is not None
        if self.learner is not None:
            self.learner.meet(self.backbone, lesson.period)
        pretrain(self.backbone, self.pretraining, lesson, fit)

    def learn(self, lesson: Lesson, fit: Fit) -> None:
        """Fit a later task; a subclass adds what it remembers."""
        assert self.learner is not None
        self.learner.fit(self.backbone, lesson, fit)
