"""Progress is a bar over the tasks and one line for each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from omegaconf import OmegaConf
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from recretrain.data.schedule import Task
from recretrain.engine.costs import Meter
from recretrain.records import AGAIN, UPDATE, Loss, Row

log = logging.getLogger("recretrain")


class Progress:
    def __init__(self, title: str, *, bar: bool, logger: Any = None) -> None:
        """`logger`: of Lightning, that gets the figures too."""
        self._title = title
        self._bar = bar
        self._logger = logger

    def over(self, tasks: list[tuple[int, Callable[[], Task]]], total: int) -> Iterator[tuple[int, Callable[[], Task]]]:
        with ExitStack() as stack:
            if self._bar:
                stack.enter_context(logging_redirect_tqdm())
            done = total - len(tasks)
            yield from tqdm(tasks, desc=self._title, initial=done, total=total, unit="task", disable=not self._bar)

    def begins(self, settings: str) -> None:
        """Give a logger the whole configuration, its keys dotted; `settings` is config.yaml."""
        if self._logger is not None:
            self._logger.log_hyperparams(dict(_dotted(OmegaConf.to_container(OmegaConf.create(settings)))))

    def ends(self) -> None:
        if self._logger is not None:
            self._logger.finalize("success")

    def finished(self, task: Task, rows: list[Row], meter: Meter, losses: Sequence[Loss] = ()) -> None:
        found, seconds = _summary(rows), meter.wall_seconds
        did = "period %s has no rows" if task.period.empty else "learned period %s"
        line = f"%s · {did} · %s · %.1f s, %d rows read"
        log.info(line, self._title, task.period.name, found, seconds, meter.rows_read)
        if self._logger is not None and rows:
            figures = {_name(row): row.value for row in rows}
            for loss in losses:  # of the last epoch of each kind of fit
                figures[f"{UPDATE}/loss/{loss.objective}"] = loss.loss
                if loss.held_out is not None:
                    figures[f"{UPDATE}/held_out/{loss.objective}"] = loss.held_out
            self._logger.log_metrics(figures, step=rows[0].period)
            self._logger.save()


def _dotted(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a configuration; a list is one of them, as text."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value if isinstance(value, bool | int | float | str) else str(value)


def _name(row: Row) -> str:
    """Tests of several earlier periods may be asked again."""
    test = f"{row.test}/{row.period}" if row.test == AGAIN else row.test
    return f"{test}/{row.group}/{row.metric}@{row.k}"


def _summary(rows: list[Row]) -> str:
    first = next((row for row in rows if row.test not in (AGAIN, UPDATE)), None)
    if first is None:
        return "no questions"
    figures = [row for row in rows if row.group == "all" and row.test == first.test]
    longest = max(row.k for row in figures)
    shown = ", ".join(f"{row.metric}@{row.k} {row.value:.4f}" for row in figures if row.k == longest)
    return f"answered {first.period} ({first.test}, n={figures[0].n}): {shown}"
