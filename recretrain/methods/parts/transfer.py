"""The transfer network blends a row as it was served with the row the new data alone would make of it (sml.md, d)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recretrain.values import AtLeast1, NotNegative

_SLOPE = 1.702  # GELU(x) = x sigmoid(1.702 x), the released approximation
_ROWS_AT_ONCE = 1024  # of a whole table: the activations of a chunk stay in the cache


@dataclass(frozen=True, kw_only=True)
class Network:
    """The shape of a transfer network; see `Transfer`."""

    filters: Sequence[AtLeast1]
    hidden: AtLeast1
    product: bool
    detach_product: bool
    epsilon: NotNegative

    def made(self, embedding_size: int) -> Transfer:
        """A network with weights of its own, for rows of this size."""
        return Transfer(
            embedding_size=embedding_size,
            filters=self.filters,
            hidden=self.hidden,
            product=self.product,
            detach_product=self.detach_product,
            epsilon=self.epsilon,
        )


class Transfer(nn.Module):
    """f_Theta for the rows of one table: stack, two convolutions over the stack, two linear layers.

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
        """w, v -> the rows to serve.  # [R, d], [R, d] -> [R, d]"""
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

    @torch.inference_mode()
    def blend_into(self, table: Tensor, previous: Tensor, fresh: Tensor) -> None:
        """Overwrite `table` with f(previous, fresh), all rows; `fresh` may be `table` itself."""
        for start in range(0, len(table), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            table[rows] = self(previous[rows], fresh[rows])
