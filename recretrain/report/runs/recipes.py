"""The runs that a table's own commands made stand for their row, whatever else was tried beside them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from recretrain.report.runs.run import RowOf, Run, method_of

_NUMBER = re.compile(r"(?<![\w.])-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?(?![\w.])")
FACTS = ("method", "data", "seed")  # a run says them itself; a table may be wanted for more seeds than it names


def chosen(runs: Sequence[Run], commands: Sequence[str], row_of: RowOf = method_of) -> list[Run]:
    """The runs that `commands` made, or would find done; all runs of a row where they made none of it."""
    recipes = [recipe for command in commands for recipe in _recipes(command)]
    variants = {run.variant for run in runs if any(_made(run, recipe) for recipe in recipes)}
    made = [run for run in runs if run.variant in variants]
    of_commands = {(run.asked, row_of(run)) for run in made}
    return [run for run in runs if run in made or (run.asked, row_of(run)) not in of_commands]


def _recipes(command: str) -> Iterator[dict[str, str]]:
    """The single runs of a sweep, each as key -> value."""
    combined: list[dict[str, str]] = [{}]
    for word in shlex.split(command):
        key, _, values = word.partition("=")
        choices = [values] if values[:1] in ("[", "{") else values.split(",")
        combined = [{**recipe, key: value} for recipe in combined for value in choices]
    yield from combined


def _made(run: Run, recipe: dict[str, str]) -> bool:
    if recipe.get("method", run.method) != run.method or recipe.get("data", run.asked.data) != run.asked.data:
        return False
    settings = {_plain(f"{key}={value}") for key, value in recipe.items() if key not in FACTS}
    return settings <= {_plain(word) for word in run.overrides}


def _plain(override: str) -> tuple[str, str]:
    """Key and value, numbers as one writes them once: a sweep writes 1e-4 as 0.0001, [1e-3,2] as [0.001,2]."""
    key, _, value = override.partition("=")
    return key, _NUMBER.sub(lambda found: repr(float(found[0])), value.lower().replace(" ", ""))
