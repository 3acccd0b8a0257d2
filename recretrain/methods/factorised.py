"""Factorisation machines of histories and labels, trained from nothing for each task (peterrec.md, f)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from recretrain.backbones.factorisation import FactorisationMachine
from recretrain.data.interactions import PAD
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit
from recretrain.methods.learners.labels import LabelLearner, LabelNet
from recretrain.methods.task_by_task import TaskByTask


class Factorised(TaskByTask[FactorisationMachine]):
    """NeuFM and DeepFM: nothing is learned of the source, and all weights are each task's own.

    docs/methods/peterrec.md (f).
    """

    def __init__(self, *, backbone: FactorisationMachine, learner: LabelLearner) -> None:
        super().__init__(backbone=backbone, learner=learner, start="cold")

    @property
    def item_space(self) -> Tensor:
        return self.backbone.item_space

    def begin(self, task: Task, fit: Fit) -> None:
        return

    def net(self, space: int) -> LabelNet:
        return MachineOf(self.backbone, space)

    def draw(self, net: LabelNet, generator: torch.Generator) -> None:
        assert isinstance(net, MachineOf)
        net.machine.draw(generator)

    def whole(self, net: LabelNet) -> int:
        return sum(weight.numel() for weight in net.tuned().values())


class MachineOf(LabelNet):
    """A machine with rows for the items of the source and of one space of labels alone."""

    fixed = False
    place: Tensor  # of each item among the rows; PAD for one of another space

    def __init__(self, backbone: FactorisationMachine, space: int) -> None:
        super().__init__()
        rows = torch.nonzero((backbone.item_space == 0) | (backbone.item_space == space)).squeeze(1)
        place = torch.full_like(backbone.item_space, PAD)
        place[rows] = torch.arange(len(rows), device=rows.device)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("labels", place[backbone.item_space == space], persistent=False)
        tables = {id(table): nn.Parameter(table.detach()[rows]) for table in (backbone.item, backbone.weight)}
        self.machine = copy.deepcopy(backbone, tables)
        self.names = frozenset(name for name, _ in self.named_parameters())

    labels: Tensor  # rows of the labels

    def features(self, history: Tensor) -> Tensor:
        held = torch.where(history >= 0, self.place[history.clamp(min=0)], PAD)
        return self.machine.features(held)

    def scores(self, features: Tensor, labels: Tensor) -> Tensor:
        return self.machine.in_pieces(features, self.place[labels])

    def penalty(self) -> Tensor:
        return 0.5 * self.machine.item[self.labels].square().sum()
