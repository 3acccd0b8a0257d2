"""What is kept of a task: its tests' answers, those of earlier tests asked again, and notes on its update."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from recretrain.data.kinds import Rankings
from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period
from recretrain.engine.progress import _summary
from recretrain.engine.runner import answered
from recretrain.engine.store import RunStore
from recretrain.evaluation.base import Answer
from recretrain.methods.base import Note
from recretrain.records import Costs, Row
from recretrain.report.runs.reading import _read
from tests.tiny import Unread

CPU = torch.device("cpu")


class Asks:
    def answer(self, scorer, task, name, test, device):
        row = Row(task, test.period, name, "all", "accuracy", 0, 0.5, len(test))
        return Answer([row], {f"{test.period}_{name}": np.zeros(len(test))})


class Method:
    def notes(self):
        return [Note("valid_loss", 1, 0.75), Note("tuned", 0, 7)]

    def about(self, test):
        return {"known_share": 0.25 * len(test)}


def asks(period: int, questions: int) -> Rankings:
    return Rankings(period=period, user=torch.arange(questions), labels=torch.arange(questions))


def task(**tests) -> Task:
    period = Period(2, "age", Unread())
    return replace(Task(1, period, Past([]), dict), **tests)


def test_tests_come_first_then_those_asked_again_then_the_notes() -> None:
    found = answered(Method(), task(tests=lambda: {"test": asks(2, 2)}, again=lambda: [asks(1, 3)]), Asks(), CPU)

    assert found.rows == [
        Row(1, 2, "test", "all", "accuracy", 0, 0.5, 2),
        Row(1, 2, "test", "all", "known_share", 0, 0.5, 2),
        Row(1, 1, "again", "all", "accuracy", 0, 0.5, 3),
        Row(1, 1, "again", "all", "known_share", 0, 0.75, 3),
        Row(1, 2, "update", "all", "valid_loss", 1, 0.75, 0),
        Row(1, 2, "update", "all", "tuned", 0, 7, 0),
    ]
    assert {name: len(array) for name, array in found.kept.items()} == {"2_test": 2, "1_again": 3}


def test_figures_about_a_test_are_those_of_a_group_that_holds_all_of_it() -> None:
    groups = {"age": torch.tensor([True, True]), "new_user": torch.tensor([True, False])}

    found = answered(Method(), task(tests=lambda: {"test": replace(asks(2, 2), groups=groups)}), Asks(), CPU)

    assert [row.group for row in found.rows if row.metric == "known_share"] == ["all", "age"]


def test_the_line_of_a_task_tells_of_its_own_tests_alone() -> None:
    notes = answered(Method(), task(again=lambda: [asks(1, 3)]), Asks(), CPU).rows

    assert _summary(notes) == "no questions"
    assert _summary([Row(1, 2, "choosing", "all", "accuracy", 0, 0.5, 2), *notes]) == (
        "answered 2 (choosing, n=2): accuracy@0 0.5000"
    )


def test_all_of_it_is_read_back_from_the_folder(tmp_path: Path) -> None:
    found = answered(Method(), task(again=lambda: [asks(1, 3)]), Asks(), CPU)
    store = RunStore(tmp_path)
    store.commit(Costs(0, 1.0, 1.0, 1.0, 1, 1, 0), found.rows, found.kept, {})

    rows = _read([tmp_path / "tasks" / "0"], "rows.csv", Row)

    assert rows["test"].tolist() == ["again", "again", "update", "update"]
    assert rows["value"].tolist() == [0.5, 0.75, 0.75, 7]
