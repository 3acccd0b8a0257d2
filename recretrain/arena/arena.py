"""One command from data to a verdict: who fits, a search alike for all, final runs, and a page."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recretrain.arena.clock import TooLong, at_most
from recretrain.arena.entrants import Entrant, Field, field
from recretrain.arena.figures import figure_of
from recretrain.arena.plan import LEAST, Plan, planned, slices
from recretrain.arena.search import Measure, Trial, best_of, trials
from recretrain.arena.standings import Standing, standings
from recretrain.arena.verdict import verdict
from recretrain.arena.wish import Wish
from recretrain.configuration.compose import compose, data_name, digest
from recretrain.engine.build import experiment
from recretrain.errors import ConfigError, Mistake, ReportError
from recretrain.report.runs.averages import column_name, is_error, is_fact
from recretrain.report.runs.reading import read_runs
from recretrain.report.runs.run import Run

log = logging.getLogger("recretrain.arena")

RunOne = Callable[[Sequence[str]], Path]  # overrides -> the folder of the finished run
FIRST = 0.4  # of the budget may go into first trials
DEARER = 4.0  # so many times as long as a method's first trial a later one may take
FAVOURITES = ("recall@20", "accuracy", "mae", "mse")  # what decides, where it is measured


@dataclass(frozen=True)
class Outcome:
    """All that a page is made of."""

    data: str
    questions: str  # what was asked, in words
    column: str
    wish: Wish
    plan: Plan
    entered: Field
    searched: Mapping[str, Sequence[Trial]]
    failed: Mapping[str, str]  # method -> why it has no final run
    standings: Sequence[Standing]
    finals: Mapping[str, Sequence[Run]]
    verdict: Sequence[str]


class Arena:
    """An arena in a folder of its own; what is done is kept there, and not done again."""

    def __init__(self, wish: Wish, run_one: RunOne) -> None:
        self.wish = wish
        self._run_one = run_one
        config, choices = compose(wish.words)
        asked = (f"{group}={choices[group]}" for group in ("eval", "schedule"))  # of the data; no method changes them
        self._words = [*dict.fromkeys([*asked, *wish.words])]
        name = f"{data_name(config, choices)}-{digest(config, with_seed=False)}"
        self.folder = Path(config.paths.outputs) / "arena" / name
        self._outputs = f"paths.outputs={self.folder / 'runs'}"
        self._notes = _Notes(self.folder / "arena.json")
        self._why: dict[str, str] = {}  # the last reason of each method whose run failed
        self._start = 0.0  # seconds that a start under other settings may need: what the dearest floor took

    def held(self) -> Outcome:
        """Do what is left of it, and judge. Raises ConfigError where another process is at it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / "arena.lock", timeout=0):
                return self._held()
        except Timeout:
            raise ConfigError(f"another process holds the arena {self.folder}; wait for it") from None

    def _held(self) -> Outcome:
        entered = field(self._words, self.wish.methods)
        log.info("%d methods enter: %s", len(entered.entrants), ", ".join(one.method for one in entered.entrants))
        last, longer = self._periods(entered.entrants[0])
        first = self._first_trials(entered, last)
        column = self._column(first)
        plan = self._plan(entered, {method: seconds for method, (_, seconds) in first.items()}, longer)
        log.info(
            "%d trials of %d methods, then %d seeds: about %.0f min",
            plan.trials, len(plan.methods), plan.seeds, plan.seconds / 60,
        )  # fmt: skip
        planned_ones = [one for one in entered.entrants if one.method in plan.methods]
        searched = self._searched(planned_ones, plan, last, column)
        finals = {
            method: runs
            for method, found in searched.items()
            if (best := best_of(found, lower=is_error(column))) and (runs := self._finals(method, best, plan))
        }
        if not finals:
            raise self._nothing()
        found = standings(finals, column)
        asked = next(iter(finals.values()))[0].asked
        failed = {method: why for method, why in self._why.items() if method not in finals}
        return Outcome(
            data=asked.data,
            questions=asked.card["text"],
            column=column,
            wish=self.wish,
            plan=plan,
            entered=entered,
            searched=searched,
            failed=failed,
            standings=found,
            finals=finals,
            verdict=verdict(found, entered.unfit, column, failed),
        )

    def _periods(self, entrant: Entrant) -> tuple[Sequence[str], float]:
        """The override that ends a run after the choosing periods, and how many times as long a whole run takes."""
        config, choices = compose([*self._words, f"method={entrant.method}", self._outputs])
        made = experiment(config, choices=choices, overrides=())
        roles = made.schedule.roles(made.stream)
        choosing, tested = roles.get("choosing", ()), roles.get("test", ())
        if not tested:
            raise ConfigError("the schedule tests no period, so nothing can be judged; lower schedule.choosing")
        if not choosing:
            raise ConfigError(
                "the schedule has no choosing periods, so no setting can be chosen; give schedule.choosing=1 or more"
            )
        if "last_test" not in config.schedule:
            return (), 1.0
        return (f"schedule.last_test={max(choosing)}",), 1 + len(tested) / len(choosing)

    def _first_trials(self, entered: Field, last: Sequence[str]) -> dict[str, tuple[Run, float]]:
        """The runs of the methods' own settings on the choosing periods, and the seconds that each takes.

        Quick methods are done first; what is not done when a part of the budget is spent is left out.
        """
        found: dict[str, tuple[Run, float]] = {}
        floors = [one.method for one in entered.entrants if one.is_floor]  # always in, and some fit starts for others
        for method in floors:
            if (run := self._run(method, (), last)) is not None:
                found[method] = run, self._seconds(run)
        if floors and not found:  # what no floor can answer is wrong with the question
            raise self._nothing()
        self._start = max(map(self._noted_seconds, floors), default=0.0)
        waiting = {one.method: one for one in entered.entrants if not one.is_floor}
        for limit in slices(self.wish.seconds):
            for method in list(waiting):
                if len(found) > len(floors) and self._spent() > FIRST * self.wish.seconds:
                    for left in waiting:
                        self._why.setdefault(left, f"budget={self.wish.seconds:g}s was spent before its turn")
                    return found
                run = self._run(method, (), last, limit)
                if run is not None:
                    found[method] = run, self._seconds(run)
                if run is not None or not self._took_too_long(method, ()):
                    del waiting[method]
            if not waiting:
                break
        if not found:
            raise self._nothing()
        return found

    def _seconds(self, run: Run) -> float:
        """What a first trial takes: as measured when it was done, and no less than its updates behind the first one,
        whose pre-training may have been another's.
        """
        later = run.costs.loc[run.costs["task"] > 0, "wall_seconds"].sum()
        return max(float(later), self._noted_seconds(run.method))

    def _plan(self, entered: Field, took: Mapping[str, float], longer: float) -> Plan:
        searched = {one.method: bool(one.space) for one in entered.entrants}
        found = planned(
            took, searched, longer, self.wish.seconds, seeds=self.wish.seeds, trials=self.wish.trials
        )  # fmt: skip
        plan = Plan(**self._notes.kept(f"plan {self.wish}", found.as_dict()))
        for method in took.keys() - plan.methods:
            self._why[method] = (
                f"a run of it takes about {took[method] * (1 + longer):.0f} s, too long for "
                f"budget={self.wish.seconds:g}s; give a larger one, or fewer methods"
            )
        return plan

    def _column(self, first: Mapping[str, tuple[Run, float]]) -> str:
        """The metric that decides."""
        run = next(iter(first.values()))[0]
        rows = run.rows[(run.rows["test"] == "choosing") & (run.rows["n"] > 0)]
        known = list(dict.fromkeys(column_name(metric, k) for metric, k in zip(rows["metric"], rows["k"], strict=True)))
        known = [column for column in known if not is_fact(column)]
        if self.wish.metric is not None and self.wish.metric not in known:
            raise ConfigError(f"metric={self.wish.metric} is not measured here; choose from {', '.join(known)}")
        return self.wish.metric or next((column for column in FAVOURITES if column in known), known[0])

    def _searched(
        self, entrants: Sequence[Entrant], plan: Plan, last: Sequence[str], column: str
    ) -> dict[str, list[Trial]]:
        """The trials of each method: one of all methods after the other, so that a spent budget leaves all as many."""
        found: dict[str, list[Trial]] = {one.method: [] for one in entrants}
        searches = [
            (one, trials(one, plan.trials, self._measure(one, last, column), lower=is_error(column)))
            for one in entrants
        ]  # fmt: skip
        for place in range(plan.trials):
            if not self._has_time_for_round(place):
                break
            for one, search in searches:
                found[one.method].extend(islice(search, 1))
        return found

    def _has_time_for_round(self, place: int) -> bool:
        """Whether trial number `place` of all methods is done; once begun, it is when the arena goes on, too."""
        name = f"rounds {self.wish}"
        begun = self._notes.get(name, 0)
        if place >= max(begun, 1) and self.wish.trials is None and self._left() <= 0:
            return False
        self._notes.put(name, max(begun, place + 1))
        return True

    def _measure(self, entrant: Entrant, last: Sequence[str], column: str) -> Measure:
        limit = None if entrant.is_floor else DEARER * self._noted_seconds(entrant.method) + self._start + LEAST

        def measure(settings: Sequence[str]) -> float | None:
            longest = limit  # other settings may ask for a start of their own, as dear as a floor's
            if limit is not None and settings and self.wish.trials is None:
                longest = min(limit, max(self._left(), LEAST))
            run = self._run(entrant.method, settings, last, longest)
            value = None if run is None else _chosen_by(run, column)
            if value is not None:
                log.info("%s %s: %s %.4f", entrant.method, " ".join(settings) or "(own settings)", column, value)
            return value

        return measure

    def _left(self) -> float:
        """Seconds of the budget; below 0: it is spent."""
        return self.wish.seconds - self._spent()

    def _spent(self) -> float:
        return self._notes.get("spent", 0.0)

    def _noted_seconds(self, method: str) -> float:
        return self._notes.get(f"seconds {method}", 0.0)

    def _finals(self, method: str, best: Trial, plan: Plan) -> list[Run]:
        runs = [self._run(method, [*best.settings, f"seed={seed}"], ()) for seed in range(plan.seeds)]
        return [run for run in runs if run is not None and _is_tested(run)]

    def _run(self, method: str, settings: Sequence[str], more: Sequence[str], limit: float | None = None) -> Run | None:
        """Do a run, or read it if it is done; None where the method refuses, diverges or takes too long."""
        name, begun = _too_long(method, settings), time.monotonic()
        try:
            if limit is not None and self._notes.get(name, 0.0) >= limit:
                raise TooLong
            with at_most(limit):
                folder = self._run_one([*self._words, f"method={method}", *settings, *more, self._outputs])
        except TooLong:
            self._notes.put(name, max(limit or 0.0, self._notes.get(name, 0.0)))
            self._why[method] = (
                f"a trial was stopped after {limit:.0f} s, for budget={self.wish.seconds:g}s; give a larger one, or "
                "fewer methods"
            )
            log.info("%s %s: stopped after %.0f s", method, " ".join(settings) or "(own settings)", limit)
            return None
        except Mistake as error:
            self._why[method] = str(error)
            log.warning("%s %s: %s", method, " ".join(settings), error)
            return None
        finally:
            self._notes.put("spent", self._spent() + time.monotonic() - begun)
        if not settings and more:
            self._notes.kept(f"seconds {method}", time.monotonic() - begun)
        if not (found := read_runs(folder)):
            raise ConfigError(f"{folder} cannot be read; delete it, and repeat the command")
        return found[0]

    def _nothing(self) -> ConfigError:
        """What to say where no method could be run: each reason once, as many methods may have the same."""
        return ConfigError(f"no method could be run; {'; '.join(dict.fromkeys(self._why.values()))}")

    def _took_too_long(self, method: str, settings: Sequence[str]) -> bool:
        return bool(self._notes.get(_too_long(method, settings), 0.0))


def _too_long(method: str, settings: Sequence[str]) -> str:
    return f"too long {method} {' '.join(settings)}".rstrip()


class _Notes:
    """What was decided or measured once, and must be the same when the arena goes on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._content: dict[str, Any] = {}
        if file.is_file():
            try:
                self._content = json.loads(file.read_text())
            except ValueError as error:
                raise ConfigError(f"{file} is damaged ({error}); delete it, and repeat the command") from error

    def get(self, key: str, otherwise: float) -> float:
        """A number that was noted."""
        return float(self._content.get(key, otherwise))

    def kept(self, key: str, value: Any) -> Any:
        """The value that was noted first."""
        if key not in self._content:
            self.put(key, value)
        return self._content[key]

    def put(self, key: str, value: Any) -> None:
        self._content[key] = value
        self._file.parent.mkdir(parents=True, exist_ok=True)
        aside = self._file.with_name(f".{self._file.name}")
        aside.write_text(json.dumps(self._content, indent=2) + "\n")
        os.replace(aside, self._file)


def _chosen_by(run: Run, column: str) -> float | None:
    try:
        return figure_of(run, column, "choosing")
    except ReportError:
        return None


def _is_tested(run: Run) -> bool:
    return bool((run.rows["test"] == "test").any())
