"""NextItNet (Yuan et al., WSDM 2019): causal dilated convolutions, each position predicts the next item."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from recretrain.backbones.dilated import DilatedTrunk


class NextItNet(DilatedTrunk):
    """The causal trunk of PeterRec (peterrec.md, c), and a next-item model by itself."""

    causal: ClassVar[bool] = True

    def encode(self, history: Tensor) -> Tensor:
        return self.states(self.tokens(history), last=True).squeeze(1)

    def encode_all(self, history: Tensor) -> Tensor:
        """One pass over the histories."""
        return self.states(self.tokens(history))
