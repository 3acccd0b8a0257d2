"""An item's mean, and what the user usually has above it in the source, scaled: the floor of every transfer."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.two_domains import Factors, TwoDomains
from recretrain.data.kinds import Ratings
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit
from recretrain.methods.cross_domain import CrossDomain, Domains
from recretrain.methods.parts.biases import BiasTransfer
from recretrain.values import Part


class MappedBiases(CrossDomain[TwoDomains]):
    """mean + b_item + slope x b_user of the source; the slope is fitted to the common users' target rows.

    docs/methods/catn_baselines.md (a).
    """

    def __init__(
        self,
        *,
        backbone: TwoDomains,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
        validation: Part,
        biases: BiasTransfer,
    ) -> None:
        super().__init__(backbone=backbone, reads=reads, start=start, validation=validation)
        self.biases = biases

    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        search = self.biases.fit(domains, held_out, self.backbone.sizes, mapped=True)
        made, before = search.best, self.backbone
        item = torch.where(_having(domains.target.item, made.item), made.item, before.item_bias)
        user = torch.where(_having(domains.source.user, made.user), made.user, before.user_bias)
        nothing = (before.item[:, :0], before.user[:, :0])
        self.backbone.write(Factors(made.mean, item, user, *nothing), domains.source.other["rating"].double().mean())
        self._notes = search.notes()


def _having(owner: Tensor, like: Tensor) -> Tensor:
    """Who has rows.  # [n] bool"""
    return torch.zeros_like(like, dtype=torch.bool).index_fill_(0, owner, True)
