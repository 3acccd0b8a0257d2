"""A source of histories and downstream tasks as periods: the source is the first, each task one after it.

A row of a task is a user and a label; its space is the task's own, and a seeded split parts it (peterrec.md, a).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from recretrain.errors import DataError
from recretrain.preparation.sql import Connection, Relation, quoted
from recretrain.values import AtLeast0, Part, Share

SOURCE = "source"  # the name of the first period and of the space of its items
LAST_IS_VALID = """CASE WHEN lead(nth) OVER (PARTITION BY "user" ORDER BY nth) IS NULL
                        AND lag(nth) OVER (PARTITION BY "user" ORDER BY nth) IS NOT NULL
                   THEN 'valid' ELSE 'train' END"""  # SQL for the part of a row of the source, which is its user's nth


@dataclass(frozen=True, kw_only=True)
class Split:
    """How each task's rows are parted; what is left is learned."""

    valid: Share
    test: Part
    by: Literal["rows", "users"]  # users: all rows of a user are in one part
    seed: AtLeast0

    def __post_init__(self) -> None:
        if self.valid + self.test >= 1:
            raise DataError(
                f"data.split.valid={self.valid:g} and data.split.test={self.test:g} leave nothing to learn from; "
                "lower them"
            )

    def part(self, task: str) -> str:
        """SQL for the part of a row, by its place among all rows (or users) of the task in a seeded order.

        That order is of the rows' contents, so it does not depend on where they stand in a file.
        """
        if self.by == "users":
            drawn = f"""md5_number_lower(concat_ws('|', {self.seed}, "user"))"""
            place, size = f'dense_rank() OVER (ORDER BY {drawn}, "user")', 'count(DISTINCT "user") OVER ()'
        else:
            drawn = f"""md5_number_lower(concat_ws('|', {self.seed}, {quoted(task)}, "user", item))"""
            place, size = f"row_number() OVER (ORDER BY {drawn}, nth)", "count(*) OVER ()"
        test, valid = (f"round({share} * {size})" for share in (self.test, self.valid))
        return f"""CASE WHEN {place} <= {test} THEN 'test' WHEN {place} <= {test} + {valid} THEN 'valid'
                   ELSE 'train' END"""


def check_names(key: str, tasks: Collection[str]) -> None:
    """Refuse names of tasks, the value of `key` in the configuration, that cannot be those of periods."""
    if not tasks:
        raise DataError(f"{key} is empty; name at least one task")
    if SOURCE in tasks:
        raise DataError(f"{key} names a task {SOURCE}, as the first period is called; give it another name")


def with_tasks(connection: Connection, histories: Relation, tasks: Mapping[str, Relation], split: Split) -> Relation:
    """The rows of all periods, in order.

    `histories` has user, item, period and part: those of period 0 are the source, others the context of users whom
    it lacks. A task has user and item, its labels. Each is in order.
    """
    own = histories.project('"user", item, period, part, ' + f"{quoted(SOURCE)} AS space, row_number() OVER () AS nth")
    own.create_view("histories")
    parts = ["FROM histories"]
    for period, (name, labels) in enumerate(tasks.items(), start=1):
        labels.project("*, row_number() OVER () AS nth").create_view(f"labels_{period}")
        parts.append(
            f"""SELECT "user", item, {period} AS period, {split.part(name)} AS part, {quoted(name)} AS space, nth
                FROM labels_{period}"""
        )
    return connection.sql(
        f"""SELECT "user", item, period, part, space FROM ({" UNION ALL ".join(parts)})
            ORDER BY period, part <> 'context', nth"""
    )
