"""One line a task, and figures for a logger."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period
from recretrain.engine.costs import Meter
from recretrain.engine.progress import Progress
from recretrain.records import Loss, Row
from tests.tiny import Unread


@dataclass
class Logger:
    logged: list[tuple[dict[str, float], int]] = field(default_factory=list)
    saved: int = 0
    settings: dict[str, object] = field(default_factory=dict)
    status: str = ""

    def log_metrics(self, figures: dict[str, float], step: int) -> None:
        self.logged.append((figures, step))

    def log_hyperparams(self, settings: dict[str, object]) -> None:
        self.settings = settings

    def finalize(self, status: str) -> None:
        self.status = status

    def save(self) -> None:
        self.saved += 1


ROWS = [
    Row(3, 5, "test", "all", "recall", 10, 0.25, 40),
    Row(3, 5, "test", "all", "recall", 20, 0.5, 40),
    Row(3, 5, "test", "all", "mrr", 20, 0.125, 40),
    Row(3, 5, "test", "new_user", "recall", 20, 0.75, 4),
]


def finished(rows: list[Row], logger: Logger, caplog, losses: Sequence[Loss] = ()) -> str:
    meter = Meter(torch.device("cpu"))
    meter.on_read("4/rows", 30)
    meter.wall_seconds = 1.26
    task = Task(3, Period(4, "May", Unread()), Past([]), dict)
    with caplog.at_level(logging.INFO, "recretrain"):
        Progress("sml on yelp", bar=False, logger=logger).finished(task, rows, meter, losses)
    return caplog.messages[-1]


def test_a_line_tells_what_was_learned_and_the_figures_at_the_longest_cut_off(caplog):
    logger = Logger()

    line = finished(ROWS, logger, caplog)

    assert line == (
        "sml on yelp · learned period May · answered 5 (test, n=40): recall@20 0.5000, mrr@20 0.1250 · "
        "1.3 s, 30 rows read"
    )
    assert logger.logged == [
        (
            {"test/all/recall@10": 0.25, "test/all/recall@20": 0.5, "test/all/mrr@20": 0.125}
            | {"test/new_user/recall@20": 0.75},
            5,
        )
    ]
    assert logger.saved == 1


def test_a_task_without_questions_says_so_and_logs_nothing(caplog):
    logger = Logger()

    assert finished([], logger, caplog) == "sml on yelp · learned period May · no questions · 1.3 s, 30 rows read"
    assert logger.logged == []


def test_tasks_come_in_order_whether_a_bar_is_shown_or_not(capsys):
    tasks = [(2, "c"), (3, "d")]

    silent = list(Progress("x", bar=False).over(tasks, 4))
    assert capsys.readouterr().err == ""
    shown = list(Progress("x", bar=True).over(tasks, 4))

    assert silent == shown == tasks
    assert "4/4" in capsys.readouterr().err


def test_a_logger_gets_the_whole_configuration_and_is_closed() -> None:
    logger = Logger()
    progress = Progress("sml on yelp", bar=False, logger=logger)

    progress.begins("seed: 0\nmethod: {loops: 3, part: {rate: 0.5}, none: {}}\neval: {ks: [1, 2], k: null}\n")
    progress.ends()

    assert logger.settings == {
        "seed": 0,
        "method.loops": 3,
        "method.part.rate": 0.5,
        "method.none": "{}",
        "eval.ks": "[1, 2]",
        "eval.k": "None",
    }
    assert logger.status == "success"


def test_a_logger_gets_the_last_loss_of_each_kind_of_fit(caplog) -> None:
    logger = Logger()
    losses = [Loss(0, "Fresh", 1, 3.0, None), Loss(0, "Fresh", 2, 2.0, None), Loss(1, "Next", 1, 1.5, 0.25)]

    finished(ROWS, logger, caplog, losses)

    ((figures, _),) = logger.logged
    named = {name: value for name, value in figures.items() if name.startswith("update/") and "/all/" not in name}
    assert named == {"update/loss/Fresh": 2.0, "update/loss/Next": 1.5, "update/held_out/Next": 0.25}
