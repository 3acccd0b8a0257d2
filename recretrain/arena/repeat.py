"""What ran, so that anybody can run it again: settings beside their defaults, digests and commands."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from recretrain.arena.arena import Outcome
from recretrain.arena.search import best_of
from recretrain.configuration.compose import compose
from recretrain.report.runs.averages import is_error
from recretrain.report.runs.run import Run, key_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


class Change(NamedTuple):
    """A setting in which a method was run otherwise than its file says."""

    key: str
    value: str
    default: str


class Repeated(NamedTuple):
    """The final runs of a method."""

    method: str
    changes: Sequence[Change]
    runs: Sequence[Run]
    command: str


def command(outcome: Outcome) -> str:
    """The command that makes the page again."""
    wish = outcome.wish
    done = max(map(len, outcome.searched.values()))  # fewer than planned where the budget was spent
    own = [f"trials={done}", f"seeds={outcome.plan.seeds}", f"metric={outcome.column}"]
    methods = [] if wish.methods is None else [f"methods={','.join(wish.methods)}"]
    return f"recretrain arena {shlex.join([*wish.words, *methods, *own])}"


def repeated(outcome: Outcome, method: str) -> Repeated:
    """What was chosen for a method, and the command of its final runs alone."""
    best = best_of(outcome.searched.get(method, ()), lower=is_error(outcome.column))
    settings, runs = (() if best is None else best.settings), outcome.finals[method]
    config, choices = compose([*outcome.wish.words, f"method={method}"])
    seeds = ",".join(str(run.seed) for run in runs)
    several = ["-m"] if len(runs) > 1 else []
    words = [*several, *outcome.wish.words, f"method={method}", *settings, f"seed={seeds}"]
    changes = [_change(word, config, choices) for word in settings]
    return Repeated(
        method, [one for one in changes if one.value != one.default], runs, f"recretrain run {shlex.join(words)}"
    )


def _change(word: str, config: DictConfig, choices: Mapping[str, str]) -> Change:
    """A value beside the one of the method's file, a choice of a group beside its choice there."""
    from omegaconf import OmegaConf

    name, _, value = word.partition("=")
    default = choices[name] if name in choices else OmegaConf.select(config, key_of(word))
    return Change(key_of(word), value, str(default))
