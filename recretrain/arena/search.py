"""The same number of trials for every method, on the choosing periods alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recretrain.arena.entrants import Entrant

Measure = Callable[[Sequence[str]], float | None]  # overrides of a method -> its figure; None: it has none
AGAIN = 20  # proposals that were tried before, after which there is nothing new
SEED = 0  # of Optuna: the same trials give the same next one


@dataclass(frozen=True)
class Trial:
    settings: Sequence[str]  # overrides; none: the method's own settings
    value: float | None  # of the choosing periods; None: it failed


def trials(entrant: Entrant, count: int, measure: Measure, *, lower: bool) -> Iterator[Trial]:
    """Measure the method's own settings first, then what Optuna proposes; as many as asked, fewer without a choice.

    A trial begins when it is asked for. `lower`: of two figures the lower is the better.
    """
    yield Trial((), measure(()))
    if entrant.space and count > 1:
        yield from _proposed(entrant, count - 1, measure, lower)


def best_of(found: Sequence[Trial], *, lower: bool) -> Trial | None:
    """The trial with the best figure, the earliest of equals; None where all failed."""
    measured = [trial for trial in found if trial.value is not None]
    return (min if lower else max)(measured, key=lambda trial: trial.value or 0.0) if measured else None


def _proposed(entrant: Entrant, count: int, measure: Measure, lower: bool) -> Iterator[Trial]:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="minimize" if lower else "maximize", sampler=optuna.samplers.TPESampler(seed=SEED)
    )
    known: dict[Sequence[str], float | None] = {}
    for _ in range(count):
        for _ in range(AGAIN):  # the next that was not tried: a proposal that was costs nothing, and tells no more
            asked: Any = study.ask()
            settings = tuple(dimension.drawn(asked) for dimension in entrant.space)
            if settings not in known:
                break
            study.tell(asked, known[settings], state=_state(known[settings]))
        else:
            return
        known[settings] = measure(settings)
        study.tell(asked, known[settings], state=_state(known[settings]))
        yield Trial(settings, known[settings])


def _state(value: float | None) -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL if value is None else TrialState.COMPLETE
