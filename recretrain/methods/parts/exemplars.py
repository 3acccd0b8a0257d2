"""Exemplars are the few prefixes of the past that a method keeps (ader.md, d).

A quota says how many prefixes to keep for each label, a selection which ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from recretrain.data.prefixes import Prefixes
from recretrain.values import AtLeast1

_STEPS = 1.1  # herding steps per exemplar asked for; a candidate picked again uses one up
_FEATURES = 2**22  # features of candidates held padded at a time


class Selection(Protocol):
    def __call__(self, candidates: Candidates, quota: Tensor, generator: torch.Generator) -> Tensor:
        """Positions of the chosen candidates; at most `quota[i]` of label i.  # quota: [I] int64"""


@dataclass(frozen=True)
class Candidates:
    """Prefixes that may become exemplars; the costly columns are computed when a selection asks for them."""

    prefixes: Prefixes
    features: Callable[[], Tensor]  # -> [N, d]
    losses: Callable[[], Tensor]  # -> [N] cross-entropy of each candidate's label

    def __len__(self) -> int:
        return len(self.prefixes)


class Memory:
    """Exemplars as inputs and labels; nothing else of the past is kept."""

    def __init__(
        self,
        *,
        size: AtLeast1,
        quotas: Literal["proportional", "equal"],
        selection: Literal["herding", "random", "loss", "loss_as_released"],
    ) -> None:
        self.size = size
        self.quotas = QUOTAS[quotas]
        self.select = SELECTIONS[selection]
        self.kept = Prefixes(*(torch.zeros(0, dtype=torch.long) for _ in range(4)))

    def __len__(self) -> int:
        return len(self.kept)

    def rebuild(self, candidates: Candidates, known: int, longest: int, generator: torch.Generator) -> None:
        """Choose anew from `candidates`, the old exemplars among them, for items 0..known-1.

        Inputs are cut to their last `longest` items.
        """
        count = torch.bincount(candidates.prefixes.labels.cpu(), minlength=known)
        drawn = self.quotas(count, self.size, generator)
        chosen = self.select(candidates, torch.minimum(drawn, count), generator)
        self.kept = candidates.prefixes.at(chosen.to(candidates.prefixes.stop.device)).compact(longest).to("cpu")

    def state_dict(self) -> dict[str, Any]:
        return {
            "items": self.kept.items.to(torch.int32),
            "length": self.kept.lengths.to(torch.int32),
            "user": self.kept.user.to(torch.int32),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        size = state["length"].long().cpu() + 1
        stop = size.cumsum(0) - 1
        self.kept = Prefixes(state["items"].long().cpu(), stop + 1 - size, stop, state["user"].long().cpu())


def proportional(count: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One multinomial draw of `size` with the labels' shares of the candidates.  # [I] -> [I]"""
    return _multinomial(count.double() / count.sum(), size, generator)


def equal(count: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One multinomial draw of `size` over all known items alike.  # [I] -> [I]"""
    return _multinomial(torch.full((len(count),), 1 / len(count), dtype=torch.float64), size, generator)


def herding(candidates: Candidates, quota: Tensor, generator: torch.Generator) -> Tensor:
    """Per label the candidates that keep the mean of the chosen features near the mean of all; see `herd`."""
    features = torch.nn.functional.normalize(candidates.features(), dim=1)
    chosen = []
    for rows, wanted in _groups(candidates.prefixes.labels, quota.to(features.device)):
        for part_rows, part_wanted in _bounded(rows, wanted, features.shape[1]):
            picked = herd(features[part_rows.clamp(min=0)], part_rows >= 0, part_wanted)
            chosen.append(part_rows[picked])
    return torch.cat(chosen).sort().values if chosen else quota.new_zeros(0)


def herd(features: Tensor, there: Tensor, wanted: Tensor) -> Tensor:
    """Which candidates of many labels herding picks, all labels step by step.  # [G, n, d], [G, n], [G] -> [G, n]

    Unit features, mu their mean; w starts as mu; each step picks argmax <w, feature> among all candidates, also those
    picked before, and adds mu - the pick to w. A repeated pick uses up a step; at `wanted` picks or 1.1 x as many steps
    a label is done.
    """
    order = herding_order(features, there, wanted)
    picked = torch.zeros_like(there, dtype=torch.int64)
    picked.scatter_add_(1, order.clamp(min=0), (order >= 0).long())
    return picked > 0


def herding_order(features: Tensor, there: Tensor, wanted: Tensor) -> Tensor:
    """New picks in their order, -1 for a step without one.  # [G, n, d], [G, n], [G] -> [G, steps]"""
    mean = (features * there.unsqueeze(2)).sum(1) / there.sum(1, keepdim=True)
    w = mean.clone()
    picked = torch.zeros_like(there)
    number = torch.zeros_like(wanted)
    order = []
    for step in range(_steps(int(wanted.max()))):
        scores = torch.bmm(features, w.unsqueeze(2)).squeeze(2).masked_fill(~there, -torch.inf)
        best = scores.argmax(1, keepdim=True)
        w += mean - features.take_along_dim(best.unsqueeze(2), 1).squeeze(1)
        goes_on = (number < wanted) & (step < _STEPS * wanted.double())  # m = 10 has 12 steps, as released
        before = picked.take_along_dim(best, 1)
        new = goes_on & ~before.squeeze(1)
        picked.scatter_(1, best, before | new.unsqueeze(1))
        number += new
        order.append(torch.where(new, best.squeeze(1), -1))
    return torch.stack(order, 1)


def at_random(candidates: Candidates, quota: Tensor, generator: torch.Generator) -> Tensor:
    """Uniformly, without replacement."""
    draws = torch.rand(len(candidates), generator=generator, device=generator.device)
    return _smallest(draws.cpu(), candidates.prefixes.labels.cpu(), quota)


def smallest_loss(candidates: Candidates, quota: Tensor, generator: torch.Generator) -> Tensor:
    """The candidates that the model answers best (the paper's ER-loss)."""
    return _smallest(candidates.losses().cpu(), candidates.prefixes.labels.cpu(), quota)


def loss_as_released(candidates: Candidates, quota: Tensor, generator: torch.Generator) -> Tensor:
    """One candidate of each label with a quota, at random: the released code ranks by one number (ader.md, i 1)."""
    return at_random(candidates, quota.clamp(max=1), generator)


QUOTAS: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {"proportional": proportional, "equal": equal}
SELECTIONS: dict[str, Selection] = {
    "herding": herding,
    "random": at_random,
    "loss": smallest_loss,
    "loss_as_released": loss_as_released,
}


def _multinomial(shares: Tensor, size: int, generator: torch.Generator) -> Tensor:
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    return torch.from_numpy(np.random.RandomState(seed).multinomial(size, shares.numpy()))


def _smallest(values: Tensor, label: Tensor, quota: Tensor) -> Tensor:
    """Of each label the `quota[label]` positions with the smallest values.  # [N], [N] -> [chosen]"""
    by_value = torch.argsort(values, stable=True)
    by_label = by_value[torch.argsort(label[by_value], stable=True)]
    first = torch.searchsorted(label[by_label], label[by_label])
    place = torch.arange(len(label)) - first
    return by_label[place < quota.cpu()[label[by_label]]].sort().values


def _groups(label: Tensor, quota: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Labels with a quota, those of like many candidates together: their rows, -1 where one has fewer, and quotas."""
    order = torch.argsort(label, stable=True)
    found, count = torch.unique_consecutive(label[order], return_counts=True)
    first = count.cumsum(0) - count
    groups = []
    longest = 1
    while longest < 2 * int(count.max()):
        mine = torch.nonzero((count <= longest) & (count > longest // 2) & (quota[found] > 0)).squeeze(1)
        if len(mine):
            place = torch.arange(int(count[mine].max()), device=label.device)
            inside = place < count[mine].unsqueeze(1)
            rows = order[(first[mine].unsqueeze(1) + place).clamp(max=len(order) - 1)]
            groups.append((torch.where(inside, rows, -1), quota[found[mine]]))
        longest *= 2
    return groups


def _bounded(rows: Tensor, wanted: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """Parts of a group whose features fit into memory, labels of like quotas together."""
    by_quota = torch.argsort(wanted, stable=True)
    some = max(1, _FEATURES // (rows.shape[1] * size))
    return [(rows[part], wanted[part]) for part in torch.split(by_quota, some)]


def _steps(wanted: int) -> int:
    """How many steps s there are with s < 1.1 x wanted, s = 0, 1, ..."""
    return sum(1 for step in range(2 * wanted + 1) if step < _STEPS * wanted)
