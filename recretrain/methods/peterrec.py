"""PeterRec (Yuan et al., SIGIR 2020): a trunk is pre-trained once and shared; tasks tune patches or other parts of it.

The baselines of its paper are the same class with other parts tuned (peterrec.md, f).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from recretrain.backbones.patches import PatchStyle
from recretrain.backbones.tables import rows_of, take
from recretrain.backbones.trunk import Readout, Trunk, truncated_normal_
from recretrain.data.kinds import Histories, TestSet
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit
from recretrain.methods.learners.base import Lesson, pretrain
from recretrain.methods.learners.labels import Beside, LabelLearner, LabelNet
from recretrain.methods.learners.source import SourceLearner, SourceLoss
from recretrain.methods.task_by_task import TaskByTask
from recretrain.values import AtLeast1, Positive

Tunes: TypeAlias = Literal["nothing", "last1", "last2", "all"]


@dataclass(frozen=True, kw_only=True)
class Joint:
    """The source's loss at every step of a task (MTL)."""

    weight: Positive  # of the source's loss
    source: SourceLearner


class PeterRec(TaskByTask[Trunk]):
    """Tunes patches, some layers or all of a trunk, and a table of the labels, for each task (peterrec.md, d, f).

    docs/methods/peterrec.md.
    """

    def __init__(
        self,
        *,
        backbone: Trunk,
        pretraining: SourceLearner | None,
        patches: PatchStyle | None,
        tunes: Tunes,
        learner: LabelLearner,
        start: Literal["cold", "warm"],
        refresh_every: AtLeast1 | None,
        joint: Joint | None,
    ) -> None:
        """`pretraining=null`: the trunk is random. `tunes`: the part of the trunk that is a task's own, beside its
        patches and labels. `refresh_every`: tasks after which the trunk is pre-trained anew on all so far.
        """
        super().__init__(backbone=backbone, learner=learner, start=start)
        self.pretraining = pretraining
        self.patches = patches
        self.tunes = tunes
        self.refresh_every = refresh_every
        self.joint = joint

    @property
    def item_space(self) -> Tensor:
        return self.backbone.item_space

    def update(self, task: Task, fit: Fit) -> None:
        if task.past and self.refresh_every and task.index % self.refresh_every == 0:
            self._refresh(task, fit)
        super().update(task, fit)

    def begin(self, task: Task, fit: Fit) -> None:
        if self.pretraining is None:
            return
        pretrain(self.backbone, self.pretraining, Lesson(task.period, task.past, whole=False, cold=False), fit)
        self._let_go()

    def net(self, space: int) -> PatchedTrunk:
        items = torch.nonzero(self.item_space == space).squeeze(1)
        return PatchedTrunk(
            self.backbone,
            items,
            patches=self.patches,
            tunes=_tuned(self.backbone, self.tunes, joint=self.joint is not None),
            readout=self.learner.readout,
            of_source=space == 0,
        )

    def draw(self, net: LabelNet, generator: torch.Generator) -> None:
        assert isinstance(net, PatchedTrunk)
        net.draw(self.backbone, generator)

    def beside(self, net: LabelNet, task: Task, fit: Fit) -> Beside | None:
        if self.joint is None:
            return None
        assert isinstance(net, PatchedTrunk)
        source, weight = self.joint.source, self.joint.weight
        batches, softmax = source.prepare(net.trunk, task.past[0].train, fit)
        loss = SourceLoss(net.trunk, None, softmax, fit.generator)
        endless = itertools.chain.from_iterable(itertools.repeat(batches))

        def step() -> Tensor:
            found = loss.loss(next(endless))
            return net.head.new_zeros(()) if found is None else weight * found

        return step

    def whole(self, net: LabelNet) -> int:
        """Embeddings of the source, blocks and labels: FineAll of the paper (peterrec.md, d)."""
        assert isinstance(net, PatchedTrunk)
        trunk = sum(weight.numel() for weight in self.backbone.parameters()) - self.backbone.output.numel()
        return trunk + net.head.numel()

    def about(self, test: TestSet) -> Mapping[str, float]:
        """The share of the given items that the trunk has a row for."""
        if not isinstance(test, Histories):
            return {}
        given = test.history[test.history >= 0].long()
        return {"known_share": float(self.backbone.known.cpu()[given].float().mean()) if len(given) else 0.0}

    def _refresh(self, task: Task, fit: Fit) -> None:
        """Pre-train a new trunk on all periods so far; what was tuned for the old one is of no use."""
        by = self.pretraining
        if by is None:
            return
        self.backbone.draw(fit.generator)
        by.fit(self.backbone, Lesson(task.period, task.past, whole=True, cold=True), fit)
        by.renew()
        self._let_go()
        self.tasks, self.shared = {}, {}

    def _let_go(self) -> None:
        """Drop the gradients of a trunk that is only to be read: as large as itself."""
        for weight in self.backbone.parameters():
            weight.grad = None


class PatchedTrunk(LabelNet):
    """A trunk with patches and a row for each label. What is not tuned is the shared trunk itself, not a copy."""

    def __init__(
        self,
        trunk: Trunk,
        items: Tensor,
        *,
        patches: PatchStyle | None,
        tunes: Sequence[str],
        readout: Readout,
        of_source: bool,
    ) -> None:
        """`items`: [I] ids of the labels, ascending. `of_source`: they are the source's own items, and begin with the
        rows and biases that pre-training gave them.
        """
        super().__init__()
        self.readout = readout
        self.of_source = of_source
        self.trunk = _partly_copied(trunk, tunes)
        self.patches = patches.on(self.trunk, None) if patches else None
        self.head = nn.Parameter(trunk.output.new_empty(len(items), trunk.width + int(of_source)))
        self.register_buffer("items", items, persistent=False)
        self.fixed = not tunes and patches is None
        own = {f"trunk.{name}" for name in tunes} | {"head"}
        self.names = frozenset(own | {name for name, _ in self.named_parameters() if name.startswith("patches.")})

    items: Tensor

    def draw(self, trunk: Trunk, generator: torch.Generator) -> None:
        """First weights: patches and labels by the generator, all else as the trunk has it."""
        if self.patches is not None:
            self.patches.draw(generator)
        with torch.no_grad():
            if self.of_source:
                self.head.copy_(trunk.output[self.items])
            else:
                truncated_normal_(self.head, generator)

    def features(self, history: Tensor) -> Tensor:
        vectors = self.trunk.user_vectors(history, self.readout, self.patches)
        return self.trunk.biased(vectors) if self.of_source else vectors

    def scores(self, features: Tensor, labels: Tensor) -> Tensor:
        rows = torch.searchsorted(self.items, labels)
        if labels.dim() == 1:
            return features @ rows_of(self.head, rows).T
        return torch.bmm(take(self.head, rows), features.unsqueeze(2)).squeeze(2)

    def penalty(self) -> Tensor:
        return 0.5 * self.head.square().sum()


def _tuned(trunk: Trunk, tunes: Tunes, *, joint: bool) -> list[str]:
    """The names of the trunk's weights that a task tunes; the table of the source's soft-max only with its loss."""
    names = [name for name, _ in trunk.named_parameters()]
    if tunes == "all":
        return [name for name in names if joint or name != "output"]
    first, second = trunk.halves
    wanted = {"nothing": (), "last1": second, "last2": (*first, *second)}[tunes]
    last = f"blocks.{len(trunk.blocks) - 1}."
    return [name for name in names if name.startswith(tuple(f"{last}{part}." for part in wanted))]


def _partly_copied(trunk: Trunk, names: Sequence[str]) -> Trunk:
    """A module with copies of these weights, which has all others in common with the trunk."""
    return copy.deepcopy(trunk, dict(_kept(trunk, set(names))))


def _kept(trunk: Trunk, copied: set[str]) -> Iterator[tuple[int, object]]:
    for name, weight in trunk.named_parameters():
        if name not in copied:
            yield id(weight), weight
    for buffer in trunk.buffers():
        yield id(buffer), buffer
