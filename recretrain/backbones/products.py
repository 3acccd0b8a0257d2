"""Matrix products of single precision, by the faster of the libraries that torch brings along."""

from __future__ import annotations

import torch
from torch import Tensor


def times(left: Tensor, right: Tensor) -> Tensor:
    """Product of `left` and the transposed `right`.  # [M, K], [N, K] -> [M, N]

    On CPUs that are not Intel's, MKL leaves half of the machine unused and oneDNN does not; no precision is lost.
    """
    if left.device.type == "cpu" and left.dtype == torch.float32 and not torch.is_grad_enabled() and _has_onednn():
        product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, None, "none", [], "")
        return product
    return left @ right.T


def _has_onednn() -> bool:
    return bool(torch._C._has_mkldnn) and hasattr(torch.ops.mkldnn, "_linear_pointwise")
