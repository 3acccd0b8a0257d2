"""With data.cut.empty=keep a day without rows is a period in which nothing is learned and nothing asked."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.preparation.prepare import describe
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

DAY = 86_400
BEGIN = 1_546_300_800  # 2019-01-01
EMPTY = (2, 5)  # in the warm-up, and among the asked periods
ROWS = 100  # of a day
DAYS = ["cut@data.cut=days", "data.cut.empty=keep", "eval.questions.catalogue=full", "eval.questions.candidates=null"]
SCHEDULES = {
    "next_period": ["schedule=next_period", "schedule.first_test=4", "schedule.choosing=1", "schedule.warm_up=4"],
    "rolling": ["schedule=rolling", "schedule.start=4", "schedule.choosing=1"],
}
METHODS = {
    "popularity": [],
    "fine_tune": ["backbone.embedding_size=8"],
    "sml_gate": [
        "backbone.embedding_size=8",
        "method.lessons_from=1",
        "method.fresh.negatives=period",
        "method.transfer.negatives=period",
    ],
}
PLAIN = [word for word in TINY if not word.startswith(("schedule", "cut", "data.cut", "eval"))]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven days of clicks, and the same without two of the days between."""
    folder = tmp_path_factory.mktemp("empty")
    ((users, items),) = tasteful_slices(1, 7 * ROWS, n_users=30, n_items=60)
    users, items = users[: 7 * ROWS], items[: 7 * ROWS]
    days = [day for day in range(9) if day not in EMPTY]
    for name, shown in (("gaps", days), ("none", range(7))):
        when = [BEGIN + shown[row // ROWS] * DAY + row % ROWS for row in range(len(users))]
        rows = [f"{u},{i},{time}" for u, i, time in zip(users, items, when, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    return folder


def done(clicks: Path, name: str, *words: str) -> Path:
    places = [f"data.path={clicks / name}.csv", f"data.name={name}", f"paths.cache={clicks / 'cache'}"]
    overrides = [*PLAIN, *places, f"paths.outputs={clicks / 'out'}", *DAYS, *words]
    config, choices = compose(overrides)
    return run(config, choices=choices, overrides=overrides)


def table(folder: Path, task: int, name: str) -> list[dict[str, str]]:
    with (folder / "tasks" / str(task) / f"{name}.csv").open() as file:
        return list(csv.DictReader(file))


def periods_asked(folder: Path, task: int) -> set[int]:
    return {int(row["period"]) for row in table(folder, task, "rows") if row["test"] != "update"}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_learned_or_asked_in_it(method: str, schedule: str, clicks: Path):
    folder = done(clicks, "gaps", f"method={method}", *METHODS[method], *SCHEDULES[schedule])

    card = json.loads((folder / "run.json").read_text())
    assert (card["choosing"], card["tested"]) == ([4], [6, 7, 8])
    asked = [periods_asked(folder, task) for task in range(card["tasks"])]
    # learned are periods 0-3, 4, 5 (which has no rows), 6, 7, and 8 by the schedule that learns the last one, too
    assert (
        asked == {"next_period": [{4}, set(), {6}, {7}, {8}], "rolling": [set(), {4}, set(), {6}, {7}, {8}]}[schedule]
    )
    assert [int(table(folder, task, "costs")[0]["rows_read"]) >= ROWS for task in (1, 2)] == [True, False]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_answers_are_those_of_a_stream_without_it(schedule: str, clicks: Path):
    words = SCHEDULES[schedule]
    closer = [word.replace("first_test=4", "first_test=3").replace("=4", "=3") for word in words]
    gaps = ranks(done(clicks, "gaps", "method=popularity", *words))
    none = ranks(done(clicks, "none", "method=popularity", *closer))
    assert len(gaps) == len(none) == 4
    for of_gaps, of_none in zip(gaps, none, strict=True):
        np.testing.assert_array_equal(of_gaps, of_none)


def ranks(folder: Path) -> list[np.ndarray]:
    """Ranks of all questions, by their period."""
    found: dict[int, np.ndarray] = {}
    for file in folder.glob("tasks/*/ranks.npz"):
        with np.load(file) as arrays:
            found.update({int(name.partition("_")[0]): arrays[name] for name in arrays if name.count("_") == 1})
    return [found[period] for period in sorted(found)]


def test_ids_are_new_in_the_period_that_has_them(clicks: Path):
    folder = done(clicks, "gaps", "method=popularity", *SCHEDULES["rolling"])
    prepared = next(path for path in (clicks / "cache").glob("gaps-*") if path.is_dir())
    assert folder.is_dir()
    periods = describe(prepared)["periods"]
    assert [period["rows"] for period in periods] == [0 if day in EMPTY else ROWS for day in range(9)]
    assert all(periods[day]["new_users"] == periods[day]["new_items"] == 0 for day in EMPTY)
    assert periods[6]["new_items"] > 0
