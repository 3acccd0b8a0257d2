"""Model patches: a few weights grafted into each block of a frozen trunk, a set for every task (peterrec.md, d)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.trunk import EPSILON, Trunk, View, truncated_normal_
from recretrain.errors import ConfigError
from recretrain.values import AtLeast1


@dataclass(frozen=True, kw_only=True)
class PatchStyle:
    """How patches look and where they stand; `on` makes a set."""

    insertion: Literal["serial", "serial_one", "parallel", "parallel_after_activation"]
    inner_skip: bool  # of parallel patches: their input is added to their output, as released
    reduction: AtLeast1  # a patch is d / reduction wide: 8 as in the paper, 4 as released
    activation: Literal["relu", "gelu"]  # relu: the paper's; gelu: its tanh form, as released
    tune_second_norm: bool  # each block's second norm belongs to the task, as released
    zero_init: bool  # patches that begin as nothing at all

    def on(self, trunk: Trunk, generator: torch.Generator | None) -> Patches:
        """A new set for this trunk, on its device; second norms begin as the trunk's.

        Raises ConfigError where a patch has no place in this trunk.
        """
        size = trunk.width
        if self.insertion == "parallel_after_activation" and not trunk.activates:
            raise ConfigError(
                f"method.patches.insertion={self.insertion} needs blocks that end with an activation, which "
                f"{type(trunk).__name__} has not; choose serial, serial_one or parallel"
            )
        if size % self.reduction:
            raise ConfigError(
                f"method.patches.reduction={self.reduction} must divide backbone.embedding_size={size}; change one"
            )
        patches = Patches(self, size, len(trunk.blocks)).to(trunk.device)
        patches.draw(generator)
        for own, block in zip(patches, trunk.blocks, strict=True):
            assert isinstance(own, BlockPatches)
            if own.norm is not None:
                norm = block.get_submodule(trunk.second_norm)
                own.norm.load_state_dict(norm.state_dict())
        return patches


class Patch(nn.Module):
    """up(g(down(x))), two 1 x 1 convolutions d -> k -> d; whoever calls adds x."""

    def __init__(self, size: int, style: PatchStyle) -> None:
        super().__init__()
        width = size // style.reduction
        self.down, self.up = nn.Linear(size, width), nn.Linear(width, size)
        self._gelu = style.activation == "gelu"
        self._zero_init = style.zero_init

    def draw(self, generator: torch.Generator | None) -> None:
        for layer in (self.down, self.up):
            truncated_normal_(layer.weight, generator)
            nn.init.zeros_(layer.bias)
        if self._zero_init:
            nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.down(x)
        changed: Tensor = self.up(F.gelu(narrow, approximate="tanh") if self._gelu else torch.relu(narrow))
        return changed


class BlockPatches(nn.Module):
    """The patches of one block: of its first half, of its second, and a second norm of the task's own."""

    def __init__(self, style: PatchStyle, size: int) -> None:
        super().__init__()
        self.style = style
        self.first = None if style.insertion == "serial_one" else Patch(size, style)
        self.second = Patch(size, style)
        self.norm = nn.LayerNorm(size, eps=EPSILON) if style.tune_second_norm else None

    def before_norm(self, half: int, u: Tensor, x: Tensor, view: View | None) -> Tensor:
        """The layers' output `u` as what follows is given it; `x` is their input.  # [B, m, d], [B, n, d]"""
        patch = (self.first, self.second)[half]
        if patch is None:
            return u
        if self.style.insertion in ("serial", "serial_one"):
            changed: Tensor = patch(u)
            return u + changed
        if self.style.insertion == "parallel":
            return u + self._beside(patch, x, view)
        return u

    def after_activation(self, half: int, y: Tensor, x: Tensor, view: View | None) -> Tensor:
        """The half's output `y` after a patch that stands behind it.  # [B, m, d], [B, n, d]"""
        patch = (self.first, self.second)[half]
        if patch is None or self.style.insertion != "parallel_after_activation":
            return y
        return y + self._beside(patch, x, view)

    def _beside(self, patch: Patch, x: Tensor, view: View | None) -> Tensor:
        own = x if view is None else x.index_select(1, view.own)
        changed: Tensor = patch(own)
        return own + changed if self.style.inner_skip else changed


class Patches(nn.ModuleList):
    """A set of patches, those of each block; all of it is trained."""

    def __init__(self, style: PatchStyle, size: int, blocks: int) -> None:
        super().__init__(BlockPatches(style, size) for _ in range(blocks))

    def draw(self, generator: torch.Generator | None) -> None:
        for module in self.modules():
            if isinstance(module, Patch):
                module.draw(generator)
