"""Steps of a fit as a CUDA graph: where a step is many small launches, its time is that of the launches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

import torch
from torch import Tensor
from torch.optim import Optimizer

from recretrain.backbones.optimizers import parameters_of
from recretrain.backbones.tables import clear_gradient
from recretrain.methods.objective import Objective

Batch: TypeAlias = tuple[Tensor, ...]
Work: TypeAlias = Callable[[], Tensor]
Record: TypeAlias = Callable[[Work], tuple[Callable[[], object], Tensor]]

_PLAIN = 16  # steps of a shape before one is recorded: a short fit is over before a recording pays


def recorded(work: Work) -> tuple[Callable[[], object], Tensor]:
    """What repeats `work` on the GPU, and the tensor that each repeat writes its result to; nothing is computed yet."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()
    return graph.replay, result


class GraphedStep:
    """The steps of one fit: some as they are, then every batch of the same shapes from a recording of one.

    A recording reads and writes the memory that it was made with. So a batch is copied to where the recorded one
    lay, and a step clears the gradients it wrote while it still knows their rows, not those of the step before.
    """

    def __init__(
        self,
        step: Callable[[Batch], Tensor | None],
        optimizer: Optimizer,
        *,
        record: Record = recorded,
    ) -> None:
        """`step`: clear the gradients, learn a batch, give its loss []; it must wait for no number from the device."""
        self._step = step
        self._optimizer = optimizer
        self._record = record
        self._met: Counter[tuple[torch.Size, ...]] = Counter()
        self._replay: Callable[[], object] | None = None
        self._shapes: tuple[torch.Size, ...] = ()
        self._batch: Batch = ()
        self._loss = torch.tensor(torch.nan)

    def __call__(self, batch: Batch) -> Tensor | None:
        """Learn a batch.  # -> []"""
        shapes = tuple(column.shape for column in batch)
        if self._replay is None:
            self._met[shapes] += 1
            if self._met[shapes] > _PLAIN:
                self._replay = self._recording(batch)
                self._shapes = shapes
        if self._replay is None or shapes != self._shapes:
            return self._step(batch)
        for held, column in zip(self._batch, batch, strict=True):
            held.copy_(column)
        self._replay()
        return self._loss.clone()

    def _recording(self, batch: Batch) -> Callable[[], object]:
        self._batch = tuple(column.clone() for column in batch)
        self._clear()  # of the last step's rows; the recorded one leaves none
        with _capturable(self._optimizer):
            replay, self._loss = self._record(self._cleared_step)
        return replay

    def _cleared_step(self) -> Tensor:
        loss = self._step(self._batch)
        if loss is None:
            raise ValueError("a step that is recorded must always have a loss")
        self._clear()
        return loss

    def _clear(self) -> None:
        for parameter in parameters_of(self._optimizer):
            clear_gradient(parameter)


@contextmanager
def _capturable(optimizer: Optimizer) -> Iterator[None]:
    """Inside, torch lets steps of `optimizer` be recorded; one that is fused computes the same either way."""
    changed = [group for group in optimizer.param_groups if group.get("capturable") is False]
    for group in changed:
        group["capturable"] = True
    try:
        yield
    finally:
        for group in changed:
            group["capturable"] = False


@contextmanager
def graphed(objective: object, record: Record = recorded) -> Iterator[None]:
    """Inside, `objective` learns by recordings, if its steps and its optimiser's can be recorded."""
    if not isinstance(objective, Objective) or not objective.replays:
        yield
        return
    optimizer = objective.configure_optimizers()
    if getattr(optimizer, "replays", False):
        objective.graphed = GraphedStep(objective.step, optimizer, record=record)
    try:
        yield
    finally:
        objective.graphed = None
