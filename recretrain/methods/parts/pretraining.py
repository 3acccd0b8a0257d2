"""Pre-training gives every MF method the same start: the log loss on the warm-up block."""

from __future__ import annotations

from recretrain.backbones.mf import MF
from recretrain.backbones.tables import DenseAdam
from recretrain.data.batches import Batches
from recretrain.data.negatives import NegativeSampler
from recretrain.data.stream import Interactions
from recretrain.methods.base import Fit
from recretrain.methods.objectives import LogLoss


class Pretraining:
    """Spec (c): Adam, batches, one negative a row. The released code selects the epoch by the next period's recall;
    here their number is fixed, chosen like every other setting on the choosing periods (spec T8, T9).
    """

    def __init__(self, *, epochs: int, learning_rate: float, reg: float, batch_size: int) -> None:
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.reg = reg
        self.batch_size = batch_size

    def __call__(self, backbone: MF, rows: Interactions, fit: Fit) -> None:
        rows = rows.to(fit.device)
        sampler = NegativeSampler.within(rows.user, rows.item, len(backbone.item))
        batches = Batches(rows, sampler, batch_size=self.batch_size, generator=fit.generator)
        adam = DenseAdam(list(backbone.parameters()), learning_rate=self.learning_rate)
        fit(LogLoss(backbone, adam, reg=self.reg), batches, epochs=self.epochs)
