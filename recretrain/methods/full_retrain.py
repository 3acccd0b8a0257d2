"""Full retrain: everything so far, every period; what the others try to match without reading it."""

from __future__ import annotations

from recretrain.backbones.mf import MF
from recretrain.backbones.tables import DenseAdam
from recretrain.data.schedule import Task
from recretrain.data.stream import Interactions, concatenate
from recretrain.methods.base import Fit
from recretrain.methods.fine_tune import FineTune
from recretrain.methods.parts.pretraining import Pretraining


class FullRetrain(FineTune):
    """Spec (g): the union of all periods, from the last weights (`start="warm"`) or from new ones (`"cold"`)."""

    def __init__(
        self,
        *,
        backbone: MF,
        pretraining: Pretraining,
        learning_rate: float,
        reg: float,
        batch_size: int,
        epochs: int,
        start: str,
    ) -> None:
        if start not in ("warm", "cold"):
            raise ValueError(f"method.start={start}: give warm (from the last weights) or cold (from new ones)")
        super().__init__(
            backbone=backbone,
            pretraining=pretraining,
            learning_rate=learning_rate,
            reg=reg,
            batch_size=batch_size,
            epochs=epochs,
            negatives="rows",  # of all periods, so the same as all met
        )
        self.learning_rate = learning_rate
        self.cold = start == "cold"

    def rows(self, task: Task) -> Interactions:
        return concatenate([*(period.train for period in task.past), task.period.train])

    def learn(self, rows: Interactions, fit: Fit) -> None:
        if self.cold:
            self.mf.draw(fit.generator)
            self.optimizer = DenseAdam(list(self.mf.parameters()), learning_rate=self.learning_rate)
        super().learn(rows, fit)
