"""An objective is one loss and its optimiser, as a LightningModule."""

from __future__ import annotations

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.mf import MF, dot
from recretrain.backbones.tables import take
from recretrain.data.batches import Triples

_TINY = 1e-15  # inside the logarithms, as released


def log_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """L0 of spec (e): -mean log(sig(x_ui) + 1e-15) - mean log(1 - sig(x_uj) + 1e-15).  # [B], [B] -> []"""
    liked = torch.log(torch.sigmoid(positive) + _TINY).mean()
    left = torch.log(1 - torch.sigmoid(negative) + _TINY).mean()
    return -liked - left


def summed_squares(*rows: Tensor) -> Tensor:
    """0.5 x the sum of squares over a batch's rows, each as often as it occurs (spec e).  # [B, d]... -> []"""
    return 0.5 * torch.stack([row.pow(2).sum() for row in rows]).sum()


class LogLoss(LightningModule):
    """Spec (e), (g): L0 of MF scores, plus reg x summed squares of the batch's rows."""

    def __init__(self, backbone: MF, optimizer: Optimizer, *, reg: float) -> None:
        super().__init__()
        self.backbone = backbone
        self._optimizer = optimizer  # owned by the method: its moments live as long as the method wants
        self._reg = reg

    def training_step(self, batch: Triples, batch_index: int) -> Tensor:
        user, positive, negative = batch
        u = take(self.backbone.user, user)
        i, j = take(self.backbone.item, positive), take(self.backbone.item, negative)
        loss = log_loss(dot(u, i), dot(u, j))
        return loss + self._reg * summed_squares(u, i, j) if self._reg else loss

    def configure_optimizers(self) -> Optimizer:
        return self._optimizer
