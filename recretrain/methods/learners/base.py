"""A learner is how to fit a backbone: a loss, batches and an optimiser. When to fit, and on what, a policy decides."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from recretrain.backbones.base import Backbone
from recretrain.data.batches import Epoch
from recretrain.data.interactions import Interactions, concatenate
from recretrain.data.kinds import TestSet
from recretrain.data.stream import Period
from recretrain.errors import ConfigError
from recretrain.methods.base import B, Fit
from recretrain.methods.objective import Objective
from recretrain.methods.state import Stateful


@dataclass(frozen=True)
class Lesson:
    """The periods that a fit learns from: the new one, alone or with all before it."""

    period: Period
    past: Sequence[Period]
    whole: bool  # learn from the past too
    cold: bool  # the weights were drawn anew: they have learned nothing of the past

    def rows(self) -> Interactions:
        """The rows to learn from, in order of time."""
        return concatenate([period.train for period in self._periods()])

    def questions(self) -> list[TestSet]:
        """The same rows as questions, a test set for each period."""
        return [period.questions for period in self._periods()]

    def _periods(self) -> Sequence[Period]:
        return [*(self.past if self.whole else ()), self.period]


class Learner(ABC, Stateful, Generic[B]):
    """Its state is its parts; the optimiser is one of them, and so lives from fit to fit until `renew`."""

    trains: ClassVar[type[Backbone]]  # the kind of backbone that it fits
    learns_from: ClassVar[type[TestSet] | None] = None  # the kind of questions it learns from; None: from rows

    @abstractmethod
    def fit(self, backbone: B, lesson: Lesson, fit: Fit) -> None:
        """Fit `backbone` to the lesson. Learns nothing else."""

    @abstractmethod
    def renew(self) -> None:
        """Forget the optimiser's moments, as before new weights."""

    def meet(self, backbone: B, period: Period) -> None:
        """Note a period that was learned in another way; by default there is nothing to note."""
        return


class TeachingLearner(Learner[B]):
    """A learner by whose loss of single batches weights besides the backbone's can be taught, such as a transfer's."""

    @abstractmethod
    def lessons(self, backbone: B, lesson: Lesson, fit: Fit, *, batch_size: int) -> tuple[Objective[Any], Epoch]:
        """Give the loss that `fit` goes by, without penalties, and an epoch of batches of the lesson."""


def pretrain(backbone: B, by: Learner[B], lesson: Lesson, fit: Fit) -> None:
    """Fit the first task by a method's `pretraining`, once for all runs that share it; its moments are forgotten."""
    fit.once("pretraining", backbone, lambda: by.fit(backbone, lesson, fit))
    by.renew()


def check_trains(backbone: Backbone, learner: Learner[B]) -> None:
    """Raise ConfigError where the learner fits another kind of backbone."""
    if not isinstance(backbone, learner.trains):
        raise ConfigError(
            f"{type(learner).__name__} trains a backbone of kind {learner.trains.__name__}, not "
            f"{type(backbone).__name__}; leave `backbone=` out or give another"
        )
