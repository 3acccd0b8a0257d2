"""Evidence candidates are items whose ratings say most about a user: known to many, and moving the model much.

MeLU, section 3.3: per pair the norm of the gradient of the unit loss, averaged over an item's users, times popularity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.content import ContentNet, activations

_CHUNK = 8192  # pairs looked at together


@dataclass(frozen=True)
class Evidence:
    """One entry an item that has any pair, the best first."""

    item: Tensor  # [I]
    score: Tensor  # [I] product of the two below
    discrimination: Tensor  # [I] mean gradient norm, divided by the largest
    popularity: Tensor  # [I] pairs, divided by the most


def evidence(item: Tensor, norm: Tensor) -> Evidence:
    """From each pair's item and gradient norm.  # [N], [N]"""
    items, place = torch.unique(item, return_inverse=True)
    count = torch.bincount(place, minlength=len(items)).double()
    mean = torch.zeros(len(items), dtype=torch.float64).index_add_(0, place, norm.double()) / count
    discrimination, popularity = mean / mean.max(), count / count.max()
    score = discrimination * popularity
    order = torch.argsort(score, descending=True, stable=True)
    return Evidence(items[order], score[order], discrimination[order], popularity[order])


@torch.no_grad()
def gradient_norms(
    net: ContentNet,
    user: Tensor,
    item: Tensor,
    rating: Tensor,
    *,
    of: Literal["decisions", "tensors"],
    least_error: float,
) -> Tensor:
    """Norm of each pair's gradient of its loss / |loss|, as a pair's gradients are outer products.  # [N] each -> [N]

    `of="decisions"`: of all decision layers as one vector (the paper); `"tensors"`: the sum of the norms of all
    weights, tables too (the released code). An error counts as `least_error` at least: an exact answer has none.
    """
    every = of == "tensors"
    chunks = torch.split(torch.arange(len(item), device=item.device), _CHUNK)
    return torch.cat([_norms(net, user[at], item[at], rating[at], every, least_error) for at in chunks])


def _norms(
    net: ContentNet, user: Tensor, item: Tensor, rating: Tensor, every_tensor: bool, least_error: float
) -> Tensor:
    layers = net.decision_layers()
    inputs = net.inputs(user, item.unsqueeze(1))
    *hidden, predicted = (part.squeeze(1) for part in activations(inputs, layers))
    seen = [torch.cat([inputs.item.squeeze(1), inputs.user], 1), *hidden]
    error = (predicted.squeeze(1) - rating).abs().clamp(min=least_error)
    back = (2 / error).unsqueeze(1)  # of the last layer's output, up to its sign
    norms = []
    for place in reversed(range(len(layers))):
        norms += [back.norm(dim=1) * seen[place].norm(dim=1), back.norm(dim=1)]  # weight, bias
        back = back @ layers[place][0]
        if place:
            back = back * (seen[place] > 0)
    if not every_tensor:
        joined: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        return joined
    items, users = torch.split(back, [inputs.item.shape[2], inputs.user.shape[1]], 1)
    norms += [*net.item.gradient_norms(items, item), *net.user.gradient_norms(users, user)]
    summed: Tensor = torch.stack(norms).sum(0)
    return summed
