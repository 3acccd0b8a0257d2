"""Dilated convolutions over a history: the trunk of PeterRec, causal (NextItNet) or with both sides (GRec)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.tables import take
from recretrain.backbones.trunk import EPSILON, BlockPatches, Trunk, View, truncated_normal_
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout

_TAPS = 3  # width of every convolution


class DilatedTrunk(Trunk):
    """Blocks of two dilated convolutions each (peterrec.md, c)."""

    halves = ("conv1", "norm1"), ("conv2", "norm2")
    second_norm = "norm2"
    activates = True

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        embedding_size: AtLeast1,
        dilations: Sequence[AtLeast1],
        longest: AtLeast1,
        dropout: Dropout,
        relu_output: bool,
    ) -> None:
        """`dilations`: of each block's first convolution, twice that in its second."""
        super().__init__(vocabulary, embedding_size, longest, relu_output=relu_output)
        self.dropout = dropout
        self.blocks = nn.ModuleList(Block(embedding_size, dilation, self.causal) for dilation in dilations)
        self._views: dict[tuple[int, torch.device], list[View]] = {}
        self.draw(None)

    def draw_blocks(self, generator: torch.Generator | None) -> None:
        """Normal draws, each convolution its own: the released code gives all of one shape the same numbers."""
        for block in self.blocks:
            assert isinstance(block, Block)
            block.draw(generator)

    def states(self, tokens: Tensor, patches: nn.ModuleList | None = None, *, last: bool = False) -> Tensor:
        """The last layer's states, 0 at padding. `last`: those of the last position alone, for which a causal trunk
        computes no other position that it does not need.  # [B, T] -> [B, T or 1, d]
        """
        rows = F.dropout(take(self.item, tokens.clamp(min=0)), self.dropout, self.training)
        present = (tokens >= 0).unsqueeze(2)
        mask = None if bool(present.all()) else present.to(rows.dtype)
        x = rows if mask is None else rows * mask
        views: Sequence[View | None] = [None] * (2 * len(self.blocks))
        if last and self.causal:
            views = self._last_views(tokens.shape[1], tokens.device)
        for place, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            own = None if patches is None else cast(BlockPatches, patches[place])
            x = block(x, mask, (views[2 * place], views[2 * place + 1]), own)
        return x[:, -1:] if last else x

    def _last_views(self, length: int, device: torch.device) -> list[View]:
        """The view of each convolution when the last position is all that is asked for, from the first on."""
        key = (length, device)
        if key not in self._views:
            self._views[key] = list(_views([conv for block in self.blocks for conv in block.dilations], length, device))  # type: ignore[union-attr]
        return self._views[key]


class Block(nn.Module):
    """x + ReLU(LN2(conv2(ReLU(LN1(conv1(x)))))), the second convolution twice as wide (peterrec.md, c)."""

    def __init__(self, size: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.dilations = (dilation, 2 * dilation)
        self.conv1, self.conv2 = (Convolution(size, reach, causal) for reach in self.dilations)
        self.norm1, self.norm2 = (nn.LayerNorm(size, eps=EPSILON) for _ in range(2))

    def draw(self, generator: torch.Generator | None) -> None:
        for convolution in (self.conv1, self.conv2):
            truncated_normal_(convolution.weight, generator)
            nn.init.zeros_(convolution.bias)
        for norm in (self.norm1, self.norm2):
            norm.reset_parameters()

    def forward(
        self, x: Tensor, mask: Tensor | None, views: tuple[View | None, View | None], patches: BlockPatches | None
    ) -> Tensor:
        """# [B, n, d], [B, T, 1] -> [B, m, d]: all positions, or those of the views"""
        first, second = views
        a = self._half(x, mask, first, self.conv1, self.norm1, patches, 0)
        norm = self.norm2 if patches is None or patches.norm is None else patches.norm
        b = self._half(a, mask, second, self.conv2, norm, patches, 1)
        if first is not None and second is not None:
            x = x.index_select(1, first.own[second.own])
        return x + b

    @staticmethod
    def _half(
        x: Tensor,
        mask: Tensor | None,
        view: View | None,
        convolution: Convolution,
        norm: nn.LayerNorm,
        patches: BlockPatches | None,
        place: int,
    ) -> Tensor:
        u = convolution(x, view)
        if patches is not None:
            u = patches.before_norm(place, u, x, view)
        y = torch.relu(norm(u))
        if patches is not None:
            y = patches.after_activation(place, y, x, view)
        if mask is None:
            return y
        return y * (mask if view is None else mask.index_select(1, view.absolute))


class Convolution(nn.Module):
    """Three taps by one matrix product; beyond the ends of a sequence there are zeros."""

    def __init__(self, size: int, dilation: int, causal: bool) -> None:
        super().__init__()
        self.dilation = dilation
        self.around = (2 * dilation, 0) if causal else (dilation, dilation)  # zeros before and after
        self.weight = nn.Parameter(torch.empty(_TAPS * size, size))  # the oldest tap first
        self.bias = nn.Parameter(torch.empty(size))

    def forward(self, x: Tensor, view: View | None) -> Tensor:
        """# [B, n, d] -> [B, m, d]"""
        batch, length, size = x.shape
        if view is None:
            wide = F.pad(x, (0, 0, *self.around))
            taps = torch.cat([wide[:, tap * self.dilation :][:, :length] for tap in range(_TAPS)], 2)
        else:
            taps = F.pad(x, (0, 0, 0, 1)).index_select(1, view.taps).view(batch, -1, _TAPS * size)
        return torch.addmm(self.bias, taps.reshape(-1, _TAPS * size), self.weight).view(batch, -1, size)


def _views(dilations: Sequence[int], length: int, device: torch.device) -> Sequence[View]:
    """Going back from the last position: each convolution's outputs are the inputs that the next one needs."""
    needed = [length - 1]
    found: list[View] = []
    for dilation in reversed(dilations):
        reached = [[position - back * dilation for back in (2, 1, 0)] for position in needed]
        inputs = sorted({position for taps in reached for position in taps if position >= 0})
        place = {position: row for row, position in enumerate(inputs)}
        taps = [place.get(position, len(inputs)) for row in reached for position in row]
        own = [place[position] for position in needed]
        found.append(View(*(torch.tensor(ids, device=device) for ids in (taps, own, needed))))
        needed = inputs
    whole = torch.tensor(needed, device=device)  # positions of the sequence that the first convolution is given
    first = found[-1]
    rows = torch.cat([whole, whole.new_tensor([length])])
    found[-1] = View(rows[first.taps], rows[first.own], first.absolute)
    return found[::-1]
