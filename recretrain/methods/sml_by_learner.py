"""SML over any learner: it fits the rows by its own loss, and the transfer is taught by the same loss of later rows."""

from __future__ import annotations

from typing import Literal

from recretrain.errors import ConfigError
from recretrain.methods.base import B, Fit
from recretrain.methods.learners.base import Learner, Lesson, TeachingLearner, check_trains, pretrain
from recretrain.methods.parts.teaching import TransferTeaching
from recretrain.methods.transferring import Transferring
from recretrain.values import AtLeast1


class SMLByLearner(Transferring[B]):
    """Matrix factorisation by BPR, or a sequence model: every table with a row for each user or item has a transfer.

    Other weights (of a GRU, of attention) are fine-tuned and served as they are. docs/methods/sml.md (m).
    """

    def __init__(
        self,
        *,
        backbone: B,
        learner: TeachingLearner[B],
        pretraining: Learner[B] | None,
        transfer: TransferTeaching,
        loops: AtLeast1,
        continues_from: Literal["transferred", "own"],
        inactive_rows: Literal["transferred", "kept"],
        lessons_from: AtLeast1 | None,
    ) -> None:
        """`pretraining`: fits the warm-up, once for all runs that share it; None: `learner` does."""
        for used in (learner, pretraining):
            if used is not None:
                check_trains(backbone, used)
        if not isinstance(learner, TeachingLearner):
            raise ConfigError(
                f"{type(learner).__name__} has no loss of single batches that a transfer could be taught by; give "
                "another learner@method.learner, one that is a TeachingLearner"
            )
        super().__init__(
            backbone=backbone,
            transfer=transfer,
            loops=loops,
            continues_from=continues_from,
            inactive_rows=inactive_rows,
            lessons_from=lessons_from,
        )
        self.learner = learner
        self.pretraining = pretraining

    def fit_block(self, lesson: Lesson, fit: Fit) -> None:
        if self.pretraining is None:
            self.learner.fit(self.backbone, lesson, fit)
            return
        self.learner.meet(self.backbone, lesson.period)
        pretrain(self.backbone, self.pretraining, lesson, fit)

    def fit_early(self, lesson: Lesson, fit: Fit) -> None:
        by = self.pretraining or self.learner
        by.fit(self.backbone, lesson, fit)
        by.renew()

    def fit_fresh(self, lesson: Lesson, fit: Fit) -> None:
        self.learner.fit(self.backbone, lesson, fit)

    def teach(self, lesson: Lesson, fit: Fit) -> None:
        assert self.previous is not None
        assert self.fresh_rows is not None
        loss, batches = self.learner.lessons(self.backbone, lesson, fit, batch_size=self.transfer.batch_size)
        self.transfer.by_loss(loss, batches, self.backbone, self.previous, self.fresh_rows, fit)

    def begin_anew(self) -> None:
        self.learner.renew()
