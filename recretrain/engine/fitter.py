"""The only file that knows pl.Trainer: a quiet one per fit, on whole batches, that leaves everything where it is."""

from __future__ import annotations

import logging
import warnings

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy

from recretrain.data.batches import Batches


class Fitter:
    """One task's `Fit` (see methods.base): where, and with which random numbers."""

    def __init__(self, device: torch.device, generator: torch.Generator, precision: str) -> None:
        self.device = device
        self.generator = generator
        self._precision = precision
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def __call__(self, objective: pl.LightningModule, data: Batches, *, epochs: int) -> None:
        if epochs < 1:
            return
        with warnings.catch_warnings():
            # tables of the data's shape, whole-batch iterables: none of Lightning's advice on loaders applies
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            self._trainer(epochs).fit(objective, train_dataloaders=data)

    def _trainer(self, epochs: int) -> pl.Trainer:
        return pl.Trainer(
            max_epochs=epochs,
            accelerator=self.device.type,
            strategy=_StayOnDevice(self.device),
            precision=self._precision,  # type: ignore[arg-type]
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            barebones=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )


class _StayOnDevice(SingleDeviceStrategy):
    """Lightning moves module and optimiser to the CPU after every fit; SML fits twenty times a period."""

    strategy_name = "stay_on_device"

    def teardown(self) -> None:
        self.precision_plugin.teardown()
        assert self.accelerator is not None
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
