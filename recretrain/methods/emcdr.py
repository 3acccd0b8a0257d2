"""EMCDR (Man et al., IJCAI 2017): factorise each domain by itself, then map a user's vector from one to the other."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from recretrain.backbones.two_domains import TwoDomains
from recretrain.data.kinds import Ratings
from recretrain.data.schedule import Task
from recretrain.errors import ConfigError
from recretrain.methods.base import Fit
from recretrain.methods.cross_domain import CrossDomain, Domains
from recretrain.methods.parts.factorising import Factoriser, Tables
from recretrain.methods.parts.mappings import Mapped, UserMap
from recretrain.methods.parts.search import HeldOut, Search, settings
from recretrain.values import Part

Fitted = tuple[Tables, Tables, Mapped]  # source, target, and the map between their users


class MappedFactors(CrossDomain[TwoDomains]):
    """Factors of both domains, and a map of users' biases and factors that is fitted to the common users.

    EMCDR, CDLFM, DFM and R-DFM differ in how they factorise and map: docs/methods/catn_baselines.md (c) to (e).
    Users with rows in the source are answered as mapped from there, all others by their own factors of the target.
    """

    kept = ("tables",)

    def __init__(
        self,
        *,
        backbone: TwoDomains,
        reads: Literal["new", "all", "first"],
        start: Literal["warm", "cold"],
        validation: Part,
        factors: Factoriser,
        mapping: UserMap,
    ) -> None:
        super().__init__(backbone=backbone, reads=reads, start=start, validation=validation)
        factors.check(backbone.width)
        if start == "warm" and not factors.warm:
            raise ConfigError(f"method.start=warm: {type(factors).__name__} always begins anew; use method.start=cold")
        self.factors = factors
        self.mapping = mapping
        self.tables: dict[str, Tensor] = {}  # of both domains as they were fitted, for a warm start alone

    def learn(self, domains: Domains, held_out: Ratings | None, task: Task, fit: Fit) -> None:
        asked, backbone = HeldOut(held_out, fit.device), self.backbone
        some = len(asked) > 0
        source, target = (
            self.factors.prepare(rows, self.periods(task), backbone) for rows in (domains.source, domains.target)
        )
        search: Search[Fitted] = Search()
        for setting in settings(self.factors.grid(), held_out=some):
            rank = int(setting["rank"])
            there = source.fit(setting, self._before("source", rank, fit), fit)
            here = target.fit(setting, self._before("target", rank, fit), fit)
            for of_map in settings(self.mapping.grid(), held_out=some):
                mapped = self.mapping.fit(there.user[domains.common], here.user[domains.common], of_map, fit)
                fitted = (there, here, mapped)
                users = as_mapped(fitted, domains, torch.unique(asked.user))
                found = Tables(users, here.item).factors(target.mean).predict(asked.user, asked.item)
                search.offer({**setting, **of_map}, asked.error(found), fitted)
        there, here, _ = search.best
        users = as_mapped(search.best, domains, torch.arange(len(here.user), device=fit.device))
        backbone.write(Tables(users, here.item).factors(target.mean), source.mean)
        if self.start == "warm":
            self._keep(source=there, target=here)
        self._notes = search.notes()

    def _before(self, domain: str, rank: int, fit: Fit) -> Tables:
        """Where a fit begins: from nothing, or from what an earlier one gave."""
        tables = Tables.zeros(self.backbone.sizes, rank, fit.device)
        if self.tables and self.start == "warm":
            for side, into in tables._asdict().items():
                known = self.tables[f"{domain}_{side}"].to(fit.device)[:, : 1 + rank]
                into[:, : known.shape[1]] = known
        return tables

    def _keep(self, **domains: Tables) -> None:
        self.tables = {
            f"{domain}_{side}": table for domain, tables in domains.items() for side, table in tables._asdict().items()
        }


def as_mapped(fitted: Fitted, domains: Domains, users: Tensor) -> Tensor:
    """The target's biases and factors with those of these users mapped, where they have rows in the source.

    # [U] -> [n_users, 1 + k]
    """
    source, target, mapped = fitted
    known = users[torch.isin(users, domains.source.user)]
    table = target.user.clone()
    table[known] = mapped(source.user[known])
    return table
