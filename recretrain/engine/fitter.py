"""The only file that knows pl.Trainer: a quiet one per fit, on whole batches, that leaves everything where it is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from itertools import islice

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.optim import Optimizer

from recretrain.data.batches import Epoch

_BUNDLE = 16  # batches to one step of Lightning, whose own work on a step can cost as much as a batch
_PLAIN = {"training_step", "configure_optimizers", "forward"}  # all that a plain objective defines of a LightningModule


class Fitter:
    """One task's `Fit` (see methods.base): where, and with which random numbers."""

    def __init__(self, device: torch.device, generator: torch.Generator, precision: str) -> None:
        self.device = device
        self.generator = generator
        self._precision = precision
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def __call__(self, objective: pl.LightningModule, data: Epoch, *, epochs: int) -> None:
        if epochs < 1:
            return
        with warnings.catch_warnings():
            # tables of the data's shape, whole-batch iterables: none of Lightning's advice on loaders applies
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            trainer = self._trainer(epochs)
            optimizer = objective.configure_optimizers() if self._is_plain(objective) else None
            if isinstance(optimizer, Optimizer):
                trainer.fit(_Bundled(objective, optimizer), train_dataloaders=_Bundles(data))
            else:
                trainer.fit(objective, train_dataloaders=data)

    def _is_plain(self, objective: pl.LightningModule) -> bool:
        """Whether Lightning has nothing to do between two batches: no hook, no scaled gradients."""
        classes = type(objective).__mro__
        own = {name for each in classes[: classes.index(pl.LightningModule)] for name in vars(each)}
        own &= {name for name in dir(pl.LightningModule) if not name.startswith("_")}
        return self._precision == "32-true" and objective.automatic_optimization and own <= _PLAIN

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


class _Bundled(pl.LightningModule):
    """The steps of an objective, as Lightning would take them one by one."""

    def __init__(self, objective: pl.LightningModule, optimizer: Optimizer) -> None:
        super().__init__()
        self.automatic_optimization = False
        self._objective = objective
        self._optimizer = optimizer
        objective.log = self.log  # type: ignore[method-assign]  # it is this module that Lightning lets log

    def training_step(self, bundle: tuple[tuple[Tensor, ...], ...], index: int) -> None:
        for place, batch in enumerate(bundle, start=index * _BUNDLE):
            output = self._objective.training_step(batch, place)
            loss = output["loss"] if isinstance(output, Mapping) else output
            if loss is None:  # to Lightning: no step for this batch
                continue
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()

    def configure_optimizers(self) -> Optimizer:
        return self._optimizer


class _Bundles:
    """An epoch of batches, some at a time."""

    def __init__(self, batches: Epoch) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return -(-len(self._batches) // _BUNDLE)

    def __iter__(self) -> Iterator[tuple[tuple[Tensor, ...], ...]]:
        batches = iter(self._batches)
        return iter(lambda: tuple(islice(batches, _BUNDLE)), ())


class _StayOnDevice(SingleDeviceStrategy):
    """Lightning moves module and optimiser to the CPU after every fit; SML fits twenty times a period."""

    strategy_name = "stay_on_device"

    def teardown(self) -> None:
        self.precision_plugin.teardown()
        assert self.accelerator is not None
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
