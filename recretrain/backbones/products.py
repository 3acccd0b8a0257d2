"""Matrix products of single precision, by the faster of the libraries that torch brings along."""

from __future__ import annotations

import os

import torch
from torch import Tensor

# oneDNN keeps a copy of the right side for each pair of shapes it has met, 1,024 of them: gigabytes where shapes change
# from batch to batch. Both of its caches are read at the first product of the process.
for _name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):
    os.environ.setdefault(_name, "16")


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
