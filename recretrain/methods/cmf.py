"""Collective matrix factorisation (Singh and Gordon, KDD 2008): both domains share the factors of their users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch

from recretrain.backbones.two_domains import TwoDomains
from recretrain.data.interactions import concatenate
from recretrain.data.kinds import Ratings
from recretrain.data.schedule import Task
from recretrain.methods.base import Fit
from recretrain.methods.cross_domain import CrossDomain, Domains
from recretrain.methods.parts.factorising import LeastSquares, Rows, Tables, alternate
from recretrain.methods.parts.search import HeldOut, Search, settings
from recretrain.values import NotEmpty, Part


class CMF(CrossDomain[TwoDomains]):
    """A user has one bias and one vector in both domains; items and means are each domain's own.

    docs/methods/catn_baselines.md (b).
    """

    def __init__(
        self,
        *,
        backbone: TwoDomains,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
        validation: Part,
        factors: LeastSquares,
        target_shares: Annotated[Sequence[Part], NotEmpty()],
    ) -> None:
        """`target_shares`: alpha, the weight of a target row; one of the source has 1 - alpha. Both are doubled, so
        that a penalty means the same for every alpha.
        """
        super().__init__(backbone=backbone, reads=reads, start=start, validation=validation)
        factors.check(backbone.width)
        self.factors = factors
        self.target_shares = target_shares

    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        asked = HeldOut(held_out, fit.device)
        rows = concatenate([domains.source, domains.target])
        rating = rows.other["rating"].double()
        of_target = torch.arange(len(rows), device=fit.device) >= len(domains.source)
        means = torch.stack([rating[~of_target].mean(), rating[of_target].mean()])
        given = Rows(rows, rating - means[of_target.long()], torch.ones_like(rating))
        backbone, search = self.backbone, Search[Tables]()
        before = Tables.of(backbone)
        for setting in settings({**self.factors.grid(), "alpha": self.target_shares}, held_out=len(asked) > 0):
            given.weight = torch.where(of_target, 2 * setting["alpha"], 2 * (1 - setting["alpha"])).double()
            made = alternate(
                given,
                before.copy(int(setting["rank"])),
                penalty=setting["penalty"],
                sweeps=self.factors.sweeps,
                generator=fit.generator,
            )
            search.offer(setting, asked.error(made.factors(means[1]).predict(asked.user, asked.item)), made)
        backbone.write(search.best.factors(means[1]), means[0])
        self._notes = search.notes()
