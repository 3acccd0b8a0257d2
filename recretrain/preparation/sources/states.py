"""MeLU's four states as periods: existing or new users with existing or new items; every rating is in one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from recretrain.preparation.sql import Connection, Relation
from recretrain.values import AtLeast0, Part

STATES = ("warm", "user_cold", "item_cold", "user_and_item_cold")


@dataclass(frozen=True, kw_only=True)
class FourStates:
    """Which users and which items are new."""

    new_user_share: Part  # of users, where they are drawn by the seed
    new_users_seed: AtLeast0
    new_items_from: int  # first year of new items


def with_states(
    connection: Connection, ratings: Relation, new_users: Iterable[Any], new_items: Mapping[Any, bool]
) -> Relation:
    """The rows with their `period`, NULL for items that `new_items` does not hold."""
    users = {"key": pa.array(new_users)}
    items = {"key": pa.array(new_items.keys()), "new": pa.array(new_items.values(), pa.bool_())}
    connection.from_arrow(pa.table(users)).create("new_users")
    connection.from_arrow(pa.table(items)).create("known_items")
    columns = ", ".join(f'rated."{column}"' for column in ratings.columns)
    ratings.project("*, row_number() OVER () AS nth").create_view("rated")
    return connection.sql(
        f"""SELECT {columns}, (new_users.key IS NOT NULL)::INTEGER + 2 * known_items.new::INTEGER AS period
            FROM rated LEFT JOIN new_users ON new_users.key = rated."user"
            LEFT JOIN known_items ON known_items.key = rated.item ORDER BY nth""",
    )


def drawn(ratings: Relation, states: FourStates) -> list[Any]:
    """The new users: a share of those who have rated, by the seed."""
    users = ratings.filter('"user" IS NOT NULL').project('"user"').distinct().order('"user"').fetchall()
    order = np.random.default_rng(states.new_users_seed).permutation(len(users))
    return [users[index][0] for index in np.sort(order[: round(states.new_user_share * len(users))])]
