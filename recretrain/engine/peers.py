"""Several processes learn every batch together and hold the same weights: gradients are added up before each step.

Not Lightning's strategy: gradients of tables are written in place, which its hooks do not see, and all of a table would
travel for the rows of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store
from torch.optim import Optimizer

from recretrain.backbones.tables import TableGradient, add_to_gradient, is_kept_apart, keep_apart, taken_apart
from recretrain.errors import ConfigError
from recretrain.methods.objective import Objective

_WAIT = timedelta(days=30)  # for the first process, which answers alone; one that ends is seen at once
_LARGE = 1 << 16  # numbers of a gradient that travels alone
_ALL = -1  # in place of a number of rows: any row may have a gradient


class Peers:
    """The processes of a run, as one of them sees them; whatever is asked here is asked by all in the same order."""

    def __init__(self, rank: int, count: int, device: torch.device, store: Store) -> None:
        """Waits for the others. `rank`: 0 is the process that the run was begun with, which alone writes."""
        self.rank, self.count, self._device = rank, count, device
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_WAIT)

    def leave(self) -> None:
        """Close the connections."""
        dist.destroy_process_group()

    @contextmanager
    def fitting(self, objective: nn.Module) -> Iterator[None]:
        """Let the processes share the batches of a fit; raises ConfigError for an objective that does not divide.

        All begin with the first one's weights. Each draws dropout of its own; afterwards all go on with the random
        numbers of the first.
        """
        if not (isinstance(objective, Objective) and objective.divides):
            raise ConfigError(
                f"trainer.devices={self.count}: a batch of {type(objective).__name__} cannot be divided among "
                "processes; set trainer.devices=1"
            )
        self.same_weights(objective)
        if self.rank:
            torch.manual_seed(int(torch.randint(2**62, ())) + self.rank)
        objective.peers = self
        try:
            yield
        finally:
            objective.peers = None
        self.same_random()

    @contextmanager
    def deciding(self, do: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """Let the first process decide whether all `do` something: it calls what it is given, or does not."""
        asked = [] if not self.rank else [self.told(True)]

        def all_do() -> None:
            if not self.rank:
                asked.append(self.told(True))
            if asked[0]:
                do()

        yield all_do
        if not asked:
            self.told(False)

    def add_up(self, optimizer: Optimizer) -> None:
        """Give each weight the sum of the gradients that the processes have of it, the same bits to all.

        Of a table whose gradient is rows that a batch has read, these rows alone travel.
        """
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        rows = [_rows_of(weight) for weight in weights]
        found = torch.tensor([_ALL if own is None else len(own.ids) for own in rows])
        counts = self._gathered(found)  # [ranks, weights]
        whole: list[Tensor] = []
        for weight, own, of_each in zip(weights, rows, counts.T.tolist(), strict=True):
            if own is None or _ALL in of_each or (not own.apart and sum(of_each) >= len(weight)):
                whole.append(_whole_gradient(weight, own))
            elif any(of_each):
                self._add_rows(weight, own, of_each)
        self._add_whole(whole)

    def summed(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        total = value.to(self._device, copy=True)
        dist.all_reduce(total)
        return total

    def told(self, what: bool) -> bool:
        """What the first process says."""
        said = torch.tensor(int(what))
        dist.broadcast(said, 0)
        return bool(said)

    def wait(self) -> None:
        """Go on when all are here."""
        self.told(True)

    def same_weights(self, module: nn.Module) -> None:
        """Take the first process's weights and buffers."""
        for value in module.state_dict().values():
            dist.broadcast(value, 0)

    def same_random(self, generator: torch.Generator | None = None) -> None:
        """Go on with the first process's random numbers: the global ones, and those of a generator."""
        torch.set_rng_state(self._told_state(torch.get_rng_state()))
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(self._told_state(torch.cuda.get_rng_state(self._device)), self._device)
        if generator is not None:
            generator.set_state(self._told_state(generator.get_state()))

    def _told_state(self, state: Tensor) -> Tensor:
        dist.broadcast(state, 0)
        return state

    def _gathered(self, value: Tensor) -> Tensor:
        """The values of all processes, of one shape.  # [...] -> [ranks, ...]"""
        found = [torch.empty_like(value) for _ in range(self.count)]
        dist.all_gather(found, value)
        return torch.stack(found)

    def _add_whole(self, gradients: list[Tensor]) -> None:
        """Add up gradients; small ones travel together, as each journey costs more than they do."""
        small = [gradient for gradient in gradients if gradient.numel() < _LARGE]
        for gradient in gradients:
            if gradient.numel() >= _LARGE:
                dist.all_reduce(gradient)
        if small:
            together = torch.cat([gradient.reshape(-1) for gradient in small])
            dist.all_reduce(together)
            for gradient, total in zip(small, torch.split(together, [g.numel() for g in small]), strict=True):
                gradient.copy_(total.view_as(gradient))

    def _add_rows(self, table: nn.Parameter, own: _Rows, of_each: list[int]) -> None:
        """Add up gradients that are some rows here, and so many rows in each process."""
        most = max(of_each)
        all_ids, all_rows = own.ids.new_zeros(most), table.new_zeros(most, table.shape[1])
        all_ids[: len(own.ids)], all_rows[: len(own.ids)] = own.ids, own.rows
        if own.apart:
            keep_apart(table)
        elif isinstance(table.grad, TableGradient):
            table.grad.clear()
        parts = zip(of_each, self._gathered(all_ids), self._gathered(all_rows), strict=True)
        for count, ids, rows in parts:  # in one order everywhere, so that all round alike
            if count:
                add_to_gradient(table, ids[:count], rows[:count])


class _Rows(NamedTuple):
    """A gradient that is zero but for some rows."""

    ids: Tensor  # [N], each once
    rows: Tensor  # [N, d]
    apart: bool  # whether the optimiser wants them apart


def _rows_of(weight: nn.Parameter) -> _Rows | None:
    """The rows of a weight's gradient; None where any row may have one. Rows that were kept apart are taken."""
    apart, kept = is_kept_apart(weight), taken_apart(weight)
    if kept is not None:
        return _Rows(*kept.summed(), apart)
    gradient = weight.grad
    written = gradient.rows() if isinstance(gradient, TableGradient) else None if gradient is not None else []
    if written is None:
        return None
    if not written:
        nothing = torch.empty(0, dtype=torch.int64, device=weight.device)
        return _Rows(nothing, weight.new_empty(0, *weight.shape[1:]), apart)
    assert isinstance(gradient, TableGradient)
    ids = torch.unique(torch.cat(written))
    return _Rows(ids, gradient[ids].as_subclass(Tensor), apart)


def _whole_gradient(weight: nn.Parameter, own: _Rows | None) -> Tensor:
    """The gradient of all rows, to be added up; those that were kept apart are added to it."""
    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
        if own is not None:
            weight.grad.index_add_(0, own.ids, own.rows)
    return weight.grad
