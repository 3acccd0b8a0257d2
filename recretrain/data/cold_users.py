"""Questions about users who are cold in one domain and known from another (CATN)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recretrain.data.kinds import ColdUserRatings
from recretrain.data.questions import Card, rated_rows
from recretrain.data.stream import Stream
from recretrain.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ColdUsers:
    """Every rating of a part is a question of its own: its users were parted before.

    Of a period that comes in order of time, the ratings of those users alone who have rows of the other domain in
    earlier periods and none of this domain: catn.md (j).
    """

    @property
    def kind(self) -> type[ColdUserRatings]:
        return ColdUserRatings

    def card(self) -> Card:
        return {"kind": "cold_users", "text": "every rating of cold users", "unit": "ratings"}

    def __call__(self, stream: Stream, period: int, part: str | None = None) -> ColdUserRatings:
        if len(stream.spaces) < 2:
            raise DataError(
                f"{stream.name} has one domain alone; eval=cold_users needs two: data=amazon_pair, or domain_tables of "
                "your own"
            )
        rows = rated_rows(stream, period, part)
        if part is None:
            rows = rows.rows(_cold(stream, period)[rows.user])
        return ColdUserRatings(
            period=period,
            user=rows.user,
            labels=rows.other["rating"].unsqueeze(1),
            items=rows.item.unsqueeze(1),
            groups={"new_item": stream.item_first[rows.item] == period},
        )


def _cold(stream: Stream, period: int) -> Tensor:
    """Whether a user is known before the period, and from the other domain alone.  # [n_users] bool"""
    of_source, of_target = (torch.zeros(stream.n_users, dtype=torch.bool) for _ in range(2))
    for earlier in range(period):
        of_source[stream.interactions(earlier, "context").user] = True
        of_target[stream.interactions(earlier).user] = True
    return of_source & ~of_target
