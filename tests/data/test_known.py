"""What is known once a period is over: all rows but its tests, of every period of a warm-up block."""

from __future__ import annotations

from pathlib import Path

from recretrain.data.schedule import NextPeriod
from recretrain.testing.streams import open_stream, write_stream

SLICES = [([0, 1], [0, 1]), ([2, 3], [2, 3]), ([0, 1], [4, 5])]


def test_tests_alone_are_not_known(tmp_path: Path) -> None:
    rows = [([0, 1, 2, 3], [0, 1, 2, 3])]
    stream = open_stream(write_stream(tmp_path, rows, n_users=4, n_items=4, parts=[[3, 0, 1, 2]]))

    known = stream[0].known

    assert sorted(known.item.tolist()) == [0, 1, 2]
    assert "rating" in known.other


def test_a_warm_up_block_knows_all_its_periods(tmp_path: Path) -> None:
    stream = open_stream(write_stream(tmp_path, SLICES, n_users=4, n_items=6))
    schedule = NextPeriod(start=2, first_test=2, choosing=0, warm_up="start", last_test=None, again=0)
    read: list[int] = []

    (task,) = [make() for make in schedule.tasks(stream, lambda what, rows: read.append(rows))]

    assert task.period.known.item.tolist() == [0, 1, 2, 3]
    assert sum(read) == 4
