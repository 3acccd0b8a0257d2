"""The only file that knows pl.Trainer: a quiet one per fit, on whole batches, that leaves everything where it is."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment  # type: ignore[attr-defined]
from pytorch_lightning.strategies import SingleDeviceStrategy

from recretrain.backbones.base import Backbone
from recretrain.data.batches import Epoch
from recretrain.engine.graphs import graphed
from recretrain.engine.losses import Losses
from recretrain.engine.peers import Peers
from recretrain.engine.pretrained import Pretrained
from recretrain.methods.objective import Objective


class Fitter:
    """One task's `Fit` (methods/base.py): where, and with which random numbers."""

    def __init__(
        self,
        device: torch.device,
        generator: torch.Generator,
        precision: str,
        pretrained: Pretrained | None = None,
        peers: Peers | None = None,
        graphs: bool = False,
    ) -> None:
        """Without `pretrained` nothing is shared between runs; without `peers` this process does the run alone.

        `graphs`: steps that can be are recorded on a GPU.
        """
        self.device = device
        self.generator = generator
        self._precision = precision
        self._pretrained = pretrained
        self._peers = peers
        self._graphs = graphs and device.type == "cuda"
        self.losses = Losses()
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    def __call__(self, objective: pl.LightningModule, data: Epoch, *, epochs: int) -> None:
        if epochs < 1:
            raise ValueError(f"{type(objective).__name__}: a fit of {epochs} epochs learns nothing")
        given: Any = Bundles(data, objective.bundle) if isinstance(objective, Objective) else data
        with (
            warnings.catch_warnings(),
            self._peers.fitting(objective) if self._peers else nullcontext(),
            graphed(objective) if self._graphs else nullcontext(),
        ):
            # tables of the data's shape, whole-batch iterables: none of Lightning's advice on loaders applies
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")
            self._trainer(epochs).fit(objective, train_dataloaders=given)
        if isinstance(objective, Objective):
            self.losses.fitted(objective)

    def measured(self, value: float) -> None:
        self.losses.measured(value)

    def once(self, name: str, backbone: Backbone, train: Callable[[], None]) -> None:
        if self._peers is not None:
            with self._peers.deciding(train) as all_train:
                self._once_here(name, backbone, all_train)
            self._peers.same_weights(backbone)
            self._peers.same_random(self.generator)
        else:
            self._once_here(name, backbone, train)

    def _once_here(self, name: str, backbone: Backbone, train: Callable[[], None]) -> None:
        if self._pretrained is None:
            train()
        else:
            self._pretrained.once(name, backbone, self.generator, train)

    def _trainer(self, epochs: int) -> pl.Trainer:
        return pl.Trainer(
            max_epochs=epochs,
            accelerator=self.device.type,
            strategy=_StayOnDevice(self.device),
            plugins=[LightningEnvironment()],  # none of its own handling of signals under Slurm
            precision=self._precision,  # type: ignore[arg-type]
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            barebones=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )


class Bundles:
    """An epoch of batches, some at a time."""

    def __init__(self, batches: Epoch, size: int) -> None:
        self._batches = batches
        self._size = size

    def __len__(self) -> int:
        return -(-len(self._batches) // self._size)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        batches = iter(self._batches)
        return iter(lambda: tuple(islice(batches, self._size)), ())


class _StayOnDevice(SingleDeviceStrategy):
    """Lightning moves module and optimiser to the CPU after every fit; SML fits twenty times a period."""

    strategy_name = "stay_on_device"

    def teardown(self) -> None:
        self.precision_plugin.teardown()
        assert self.accelerator is not None
        self.accelerator.teardown()
        self.checkpoint_io.teardown()
