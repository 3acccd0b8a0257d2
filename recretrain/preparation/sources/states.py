"""MeLU's four states as periods: existing or new users with existing or new items; every rating is in one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from recretrain.errors import DataError
from recretrain.preparation.sources.base import Connection, Relation

STATES = ("warm", "user_cold", "item_cold", "user_and_item_cold")


def with_states(
    connection: Connection, ratings: Relation, new_users: Iterable[Any], new: Mapping[Any, bool]
) -> Relation:
    """The rows with their `period`; `new` tells of every item whether it is new, and the period of others is NULL."""
    users = {"key": pa.array(new_users)}
    items = {"key": pa.array(new.keys()), "new": pa.array(new.values(), pa.bool_())}
    connection.from_arrow(pa.table(users)).create("new_users")
    connection.from_arrow(pa.table(items)).create("known_items")
    columns = ", ".join(f'rated."{column}"' for column in ratings.columns)
    ratings.project("*, row_number() OVER () AS nth").create_view("rated")
    return connection.sql(
        f"""SELECT {columns}, (new_users.key IS NOT NULL)::INTEGER + 2 * known_items.new::INTEGER AS period
            FROM rated LEFT JOIN new_users ON new_users.key = rated."user"
            LEFT JOIN known_items ON known_items.key = rated.item ORDER BY nth""",
    )


def drawn(ratings: Relation, share: float, seed: int) -> list[Any]:
    """A share of the users who have rated, by the seed."""
    users = ratings.filter('"user" IS NOT NULL').project('"user"').distinct().order('"user"').fetchall()
    chosen = np.random.default_rng(seed).permutation(len(users))[: round(share * len(users))]
    return [users[index][0] for index in np.sort(chosen)]


def check_share(share: float) -> None:
    if not 0 < share < 1:
        raise DataError(f"data.new_user_share is {share:g}; give a share between 0 and 1")
