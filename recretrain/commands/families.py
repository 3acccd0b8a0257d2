"""A sweep over methods or data of several families: every job is composed first, and those that cannot be left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from recretrain.commands.outcomes import Outcome
from recretrain.configuration.compose import compose, expand
from recretrain.errors import Unfit

GROUPS = ("method", "backbone", "schedule", "eval", "data", "experiment")  # whose options have keys of their own

left_out: ContextVar[Sequence[Outcome]] = ContextVar("left_out", default=())  # of the sweep that is going on


@contextmanager
def only_what_fits(words: Sequence[str]) -> Iterator[None]:
    """Let Hydra's sweeper make only the jobs of `words` whose parts go together; the others are `left_out`.

    Raises the reason if none is left. A sweep that varies no group is of one family, and left as it is.
    """
    overrides = [word for word in words if not word.startswith("-")]
    if not _varies_a_group(overrides):
        yield
        return
    reasons: dict[tuple[str, ...], Unfit | None] = {}
    jobs = list(expand(overrides))
    for job in jobs:
        family = _family(job)
        if family not in reasons:
            reasons[family] = _unfit(family)
    fitting = [job for job in jobs if reasons[_family(job)] is None]
    if not fitting:
        raise next(reason for reason in reasons.values() if reason is not None)
    unfit = [Outcome(_own(job), None, str(reason), True) for job in jobs if (reason := reasons[_family(job)])]
    token = left_out.set(unfit)
    try:
        with _jobs(fitting):
            yield
    finally:
        left_out.reset(token)


def _varies_a_group(overrides: Sequence[str]) -> bool:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return any(found.is_sweep_override() and found.key_or_group in GROUPS for found in parsed)


def _own(job: Sequence[str]) -> list[str]:
    return [word for word in job if not word.startswith("hydra")]


def _family(job: Sequence[str]) -> tuple[str, ...]:
    """Jobs that differ in their seeds alone are of one family."""
    return tuple(word for word in job if not word.startswith("seed="))


def _unfit(job: Sequence[str]) -> Unfit | None:
    """Why a job cannot be. Raises ConfigError for any other mistake: it stops the sweep before its first run."""
    from recretrain.configuration.signatures import check
    from recretrain.engine.build import check_settings

    try:
        config, choices = compose(job)
        check(config)
        check_settings(config, choices)
    except Unfit as reason:
        return reason
    return None


@contextmanager
def _jobs(jobs: list[list[str]]) -> Iterator[None]:
    """Put these jobs in place of all combinations; Hydra's sweeper has no other door for that."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    before = BasicSweeper.split_arguments
    BasicSweeper.split_arguments = staticmethod(lambda overrides, size: [jobs])  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        BasicSweeper.split_arguments = staticmethod(before)  # type: ignore[method-assign]
