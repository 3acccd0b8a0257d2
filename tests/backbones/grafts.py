"""Patches for tests of trunks."""

from __future__ import annotations

import torch

from recretrain.backbones.patches import Patches, PatchStyle
from recretrain.backbones.trunk import Trunk


def style(**changes: object) -> PatchStyle:
    values = {"insertion": "serial", "inner_skip": True, "reduction": 8, "activation": "relu"}
    return PatchStyle(**{**values, "tune_second_norm": True, "zero_init": False, **changes})


def grafted(model: Trunk, **changes: object) -> Patches:
    """Patches that change much, so that a wrong place shows."""
    patches = style(**changes).on(model, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for weight in patches.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)), alpha=0.3)
    return patches
