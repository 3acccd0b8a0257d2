"""Dilated convolutions over a history: the trunk of PeterRec, causal (NextItNet) or with both sides (GRec).

A trunk is shared: it can be computed with patches in its blocks (`backbones.patches`), which leave its weights alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeAlias, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.backbones.tables import take
from recretrain.data.interactions import PAD
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1, Dropout

Readout: TypeAlias = Literal["tcl", "mean", "last"]

EPSILON = 1e-8  # of layer norms, inside the root
_TAPS = 3  # width of every convolution
_STD = 0.02  # of normal draws that are cut at two deviations
_OUTPUT_STD, _OUTPUT_BIAS = 0.01, 0.1  # of the soft-max's table


class View(NamedTuple):
    """Where a convolution is computed: some positions of its input, for an output that needs no others."""

    taps: Tensor  # [3 x positions] rows of the input, behind which there is a row of zeros
    own: Tensor  # [positions] the same positions in the input
    absolute: Tensor  # [positions] in the whole sequence


class BlockPatches(Protocol):
    """What is grafted into one block (`backbones.patches`)."""

    norm: nn.LayerNorm | None  # in place of the block's second one

    def before_norm(self, half: int, u: Tensor, x: Tensor, view: View | None) -> Tensor:
        """A convolution's output as the norm is given it."""

    def after_activation(self, half: int, y: Tensor, x: Tensor, view: View | None) -> Tensor:
        """The output of a half of the block."""


class DilatedTrunk(SequenceBackbone):
    """Blocks of two dilated convolutions each (peterrec.md, c).

    `item` has a row for each item of the first space, the source, then one for [TCL], which is [MASK] too, and one for
    items without a row of their own (`known`). Padding has none: it is zero in every layer, so a vector does not depend
    on how much of it there is. `output` is the table of the pre-training soft-max; its last column is the items' bias.
    """

    causal: ClassVar[bool]

    known: Tensor  # [n_items] whether an item has a row of its own; else it is read as unknown
    item_space: Tensor  # [n_items] the vocabulary of each item

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
        """`dilations`: of each block's first convolution, twice that in its second. `relu_output`: the vectors are cut
        at zero before the soft-max, as the released code has it where the soft-max is full.
        """
        super().__init__()
        self.longest = longest
        self.dropout = dropout
        self.relu_output = relu_output
        source = int(vocabulary.items_of(0).max()) + 1  # items are numbered as they appear, so its own come first
        self.item = nn.Parameter(torch.empty(source + 2, embedding_size))
        self.output = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size + 1))
        self.blocks = nn.ModuleList(Block(embedding_size, dilation, self.causal) for dilation in dilations)
        self.register_buffer("known", torch.zeros(vocabulary.n_items, dtype=torch.bool))
        self.register_buffer("item_space", vocabulary.item_space.clone(), persistent=False)
        self._views: dict[tuple[int, torch.device], list[View]] = {}
        self.draw(None)

    @property
    def width(self) -> int:
        return self.item.shape[1]

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        """Normal draws, each convolution its own: the released code gives all of one shape the same numbers."""
        truncated_normal_(self.item, generator)
        for block in self.blocks:
            assert isinstance(block, Block)
            block.draw(generator)
        self.output[:, :-1].normal_(0.0, _OUTPUT_STD, generator=generator)
        self.output[:, -1] = _OUTPUT_BIAS
        self.known[: self.tcl] = True

    @property
    def tcl(self) -> int:
        """Row of [TCL], which closes a history whose vector is asked for, and hides an item in cloze."""
        return len(self.item) - 2

    def tokens(self, history: Tensor) -> Tensor:
        """Rows of `item` for ids; padding stays PAD.  # [...] -> [...]"""
        known = self.known[history.clamp(min=0)]
        return torch.where(history < 0, PAD, torch.where(known, history, self.tcl + 1))

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

    def user_vectors(self, history: Tensor, readout: Readout, patches: nn.ModuleList | None = None) -> Tensor:
        """Vectors of whole histories, for any label (peterrec.md, a).  # [B, T] -> [B, d]

        `tcl`: the state at [TCL] after the history; with both sides [TCL] stands at both ends, and the two are added.
        `last`: the state of the last item; `mean`: the mean of all items' (both 0 for an empty history).
        """
        tokens = self.tokens(history[:, -self.longest :])
        if readout == "last":
            return self.states(tokens, patches, last=True).squeeze(1)
        if readout == "mean":
            count = (tokens >= 0).sum(1, keepdim=True).clamp(min=1)
            return self.states(tokens, patches).sum(1) / count
        closed = F.pad(tokens, (0, 1), value=self.tcl)
        if self.causal:
            return self.states(closed, patches, last=True).squeeze(1)
        opened = F.pad(closed, (1, 0), value=PAD)
        first = (opened < 0).sum(1, keepdim=True) - 1
        states = self.states(opened.scatter(1, first, self.tcl), patches)
        return states.gather(1, first.unsqueeze(2).expand(-1, -1, states.shape[2])).squeeze(1) + states[:, -1]

    def completed(self, features: Tensor, user: Tensor) -> Tensor:
        """A constant 1 behind the vectors, for the biases of `output`.  # [B, d] -> [B, d + 1]"""
        return self.biased(features)

    def biased(self, vectors: Tensor) -> Tensor:
        """Vectors as `output` is scored against.  # [N, d] -> [N, d + 1]"""
        kept = torch.relu(vectors) if self.relu_output else vectors
        return torch.cat([kept, kept.new_ones(len(kept), 1)], 1)

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


def truncated_normal_(weight: Tensor, generator: torch.Generator | None) -> None:
    """N(0, 0.02) cut at two deviations, as TensorFlow draws (peterrec.md, c)."""
    nn.init.trunc_normal_(weight, std=_STD, a=-2 * _STD, b=2 * _STD, generator=generator)


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
