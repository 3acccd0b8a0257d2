"""GRec's encoder (Yuan et al., WWW 2020): dilated convolutions over both sides, taught to fill gaps (cloze)."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from recretrain.backbones.dilated import DilatedTrunk


class GRec(DilatedTrunk):
    """The non-causal trunk of PeterRec (peterrec.md, c); the next item is a gap behind the history."""

    causal: ClassVar[bool] = False

    def encode(self, history: Tensor) -> Tensor:
        gap = F.pad(self.tokens(history), (0, 1), value=self.tcl)
        return self.states(gap, last=True).squeeze(1)
