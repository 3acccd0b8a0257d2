"""A transfer blends a row as it was served with the row the new data alone would make of it (sml.md, d, k)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recretrain.methods.base import Fit
from recretrain.methods.parts.fresh_start import FreshStart
from recretrain.values import AtLeast1, NotNegative, Within

_SLOPE = 1.702  # GELU(x) = x sigmoid(1.702 x), the released approximation
_ROWS_AT_ONCE = 1024  # of a whole table: the activations of a chunk stay in the cache of a CPU
_ROWS_AT_ONCE_ON_GPU = 65_536


class Transfer(nn.Module, ABC):
    """f_Theta for the rows of one table, each by itself."""

    @abstractmethod
    def forward(self, previous: Tensor, fresh: Tensor) -> Tensor:
        """w, v -> the rows to serve.  # [R, d], [R, d] -> [R, d]"""

    @torch.inference_mode()
    def blend_into(self, table: Tensor, previous: Tensor, fresh: Tensor) -> None:
        """Overwrite `table` with f(previous, fresh), all rows; `fresh` may be `table` itself."""
        size = _rows_at_once(table)
        for start in range(0, len(table), size):
            rows = slice(start, start + size)
            table[rows] = self(previous[rows], fresh[rows])


def _rows_at_once(table: Tensor) -> int:
    return _ROWS_AT_ONCE if table.device.type == "cpu" else _ROWS_AT_ONCE_ON_GPU


class Network(ABC):
    """The shape of a transfer: an option of conf/transfer, of which one transfer is made for each table."""

    @abstractmethod
    def made(self, embedding_size: int) -> Transfer:
        """A transfer with weights of its own, for rows of this size."""

    def begin(self, transfer: Transfer, table: Tensor, fit: Fit) -> None:
        """Teach a transfer of this shape what it is to know before its first lesson; by default nothing.

        `table`: the rows that the warm-up has fitted, [N, d].
        """
        return


@dataclass(frozen=True, kw_only=True)
class Released(Network):
    """The paper's network; see `Convolutions`. Without `start` its first weights are random, as released."""

    filters: Sequence[AtLeast1]
    hidden: AtLeast1
    product: bool
    detach_product: bool
    epsilon: NotNegative
    start: FreshStart | None

    def made(self, embedding_size: int) -> Convolutions:
        return Convolutions(
            embedding_size=embedding_size,
            filters=self.filters,
            hidden=self.hidden,
            product=self.product,
            detach_product=self.detach_product,
            epsilon=self.epsilon,
        )

    def begin(self, transfer: Transfer, table: Tensor, fit: Fit) -> None:
        if self.start is not None:
            self.start(transfer, table, fit)


@dataclass(frozen=True, kw_only=True)
class Gated(Network):
    """Gates that depend on the row; see `RowGate`."""

    hidden: AtLeast1
    bound: Annotated[float, Within(1.1, 100.0)]

    def made(self, embedding_size: int) -> RowGate:
        return RowGate(embedding_size=embedding_size, hidden=self.hidden, bound=self.bound)


@dataclass(frozen=True, kw_only=True)
class PerDimension(Network):
    """Gates that are the same for all rows of a table; see `DimensionGate`."""

    def made(self, embedding_size: int) -> DimensionGate:
        return DimensionGate(embedding_size=embedding_size)


class Convolutions(Transfer):
    """The released network: stack, two convolutions over the stack, two linear layers (sml.md, d).

    `product`: stack a third row c = w * v / (||w|| + epsilon); `detach_product`: no gradient through c to v (released).
    `filters`: channels of the convolutions; empty = none, the stacked rows go straight to the linear layers.
    """

    def __init__(
        self,
        *,
        embedding_size: int,
        filters: Sequence[int],
        hidden: int,
        product: bool,
        detach_product: bool,
        epsilon: float,
    ) -> None:
        super().__init__()
        self._product = product
        self._detach = detach_product
        self._epsilon = epsilon
        rows = 3 if product else 2
        channels = [rows, *filters]
        # the first filter spans the stacked rows, later ones the channels before them: all are products with one matrix
        kernels = [(1, rows), *((before, 1) for before in filters)]
        self.conv = nn.ModuleList(nn.Conv2d(kernels[k][0], out, (kernels[k][1], 1)) for k, out in enumerate(filters))
        self.fc1 = nn.Linear(channels[-1] * embedding_size, hidden)
        self.fc2 = nn.Linear(hidden, embedding_size)

    def forward(self, previous: Tensor, fresh: Tensor) -> Tensor:
        # GELU(x) = silu(1.702 x) / 1.702; the scale passes through linear layers, so it is applied once at either end
        stacked = torch.stack(self._stack(previous, fresh)).flatten(1)  # [rows, R * d]
        scale = _SLOPE
        for layer in self.conv:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            weight = layer.weight.flatten(1)
            stacked = F.silu(torch.addmm(_SLOPE * layer.bias.unsqueeze(1), scale * weight, stacked))
            scale = 1.0
        flat = stacked.view(len(stacked), *previous.shape).transpose(0, 1).flatten(1)  # [R, channels * d]
        hidden = F.silu(F.linear(flat, scale * self.fc1.weight, _SLOPE * self.fc1.bias))
        return F.linear(hidden, self.fc2.weight / _SLOPE, self.fc2.bias)

    def _stack(self, previous: Tensor, fresh: Tensor) -> list[Tensor]:
        if not self._product:
            return [previous, fresh]
        v = fresh.detach() if self._detach else fresh
        length = previous.norm(dim=1, keepdim=True) + self._epsilon
        return [previous, fresh, previous * v / length]


class Gate(Transfer):
    """w + g (v - w): g = 0 serves the old row on, g = 1 the fresh one, as fine-tuning does; beyond 1 goes past it.

    Subclasses give g - 1, and begin with 0: then the rows that are served are the fresh ones, to the last bit.
    """

    @abstractmethod
    def excess(self, previous: Tensor, fresh: Tensor) -> Tensor:
        """Give g - 1 of each number of a row.  # [R, d], [R, d] -> [R, d], or [1, d] for all rows"""

    def forward(self, previous: Tensor, fresh: Tensor) -> Tensor:
        return fresh + self.excess(previous, fresh) * (fresh - previous)  # exact where g is 1, as w + g (v - w) is not

    @torch.inference_mode()
    def mean(self, previous: Tensor, fresh: Tensor) -> Tensor:
        """Give g of every row, the mean over its numbers.  # [R, d], [R, d] -> [R]"""
        size = _rows_at_once(previous)
        pairs = zip(torch.split(previous, size), torch.split(fresh, size), strict=True)
        return torch.cat([1 + self.excess(w, v).mean(1).expand(len(w)) for w, v in pairs])


class RowGate(Gate):
    """g of each number of a row, between 0 and `bound`, from x = net(w, v, v - w and their lengths) (sml.md, k).

    g - 1 is tanh(x / 2), which is 2 sigmoid(x) - 1, and for x > 0 the same curve stretched to `bound` - 1.
    """

    def __init__(self, *, embedding_size: int, hidden: int, bound: float) -> None:
        super().__init__()
        self._most = bound - 1
        self.fc1 = nn.Linear(3 * (embedding_size + 1), hidden)
        self.fc2 = nn.Linear(hidden, embedding_size)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def excess(self, previous: Tensor, fresh: Tensor) -> Tensor:
        rows = (previous, fresh, fresh - previous)
        lengths = [torch.linalg.vector_norm(row, dim=1, keepdim=True) for row in rows]
        hidden = F.relu(self.fc1(torch.cat([*rows, *lengths], 1)))
        x = self.fc2(hidden) / 2
        if self._most == 1:  # the same in one pass
            return torch.tanh(x)
        return torch.where(x > 0, self._most * torch.tanh(x / self._most), torch.tanh(x))


class DimensionGate(Gate):
    """g learned for each dimension by itself, whatever the rows are; not bounded."""

    def __init__(self, *, embedding_size: int) -> None:
        super().__init__()
        self.less_one = nn.Parameter(torch.zeros(1, embedding_size))

    def excess(self, previous: Tensor, fresh: Tensor) -> Tensor:
        return self.less_one
