"""A run that is killed, anywhere and again and again, goes on to what an unbroken one gives, and leaves no litter.

`RECRETRAIN_KILLS=200 pytest -s tests/reliability -m slow -k anywhere` kills that often, at random.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch

from recretrain.engine import changes, store
from recretrain.records import Costs
from tests.reliability import children, runs

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("RECRETRAIN_KILLS", "10"))
SAID = {signal.SIGINT: "interrupted", signal.SIGTERM: "stopped by SIGTERM", signal.SIGHUP: "stopped by SIGHUP"}


def unbroken(family: str, place: Path) -> tuple[dict[str, object], int, float]:
    """What the family's run leaves, how often it alters a file, and its seconds; the place is empty again."""
    begun = time.monotonic()
    assert children.do(place, command(family, place), until=0) == 0, children.said(place)
    seconds, kept = time.monotonic() - begun, runs.kept(place)
    assert len([name for name in kept if name.endswith("ranks.npz")]) > 1
    clear(place)
    return kept, children.alterations(place), seconds


def command(family: str, place: Path) -> list[str]:
    return ["run", *runs.words(family, place)]


def clear(place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()


@pytest.mark.parametrize("family", ["sml", "melu"])
def test_killed_at_any_alteration_of_a_file(family: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    wanted, alterations, _ = unbroken(family, place)

    killed_at_each(place, command(family, place), wanted, alterations)


def few_rows(place: Path) -> int:
    """Five tasks that each alter an eighth of the rows of a table, as if it were large."""
    changes.LEAST = store.LEAST = 1000  # type: ignore[misc]
    run = store.RunStore(place / "run")
    with run.locked():
        run.tidy()
        run.check()
        for index in range(run.done(), 5):
            table = run.state(index - 1, torch.device("cpu"))["table"] if index else torch.zeros(2000, 4)
            table[250 * index : 250 * index + 250] = index
            run.commit(Costs(index, 1.0, 0.5, 100.0, 30, 10, 0), [], {}, {"table": table})
    return 0


def test_killed_at_any_alteration_of_a_state_that_is_changes(tmp_path: Path) -> None:
    place = tmp_path / "place"
    clear(place)
    assert children.do(place, few_rows, until=0) == 0, children.said(place)
    wanted = runs.kept(place)
    assert [name for name in wanted if name.endswith(".pt")] == ["run/tasks/3/state.pt", "run/tasks/4/changes.pt"]

    killed_at_each(place, few_rows, wanted, children.alterations(place))


def killed_at_each(place: Path, work: children.Command, wanted: dict[str, object], alterations: int) -> None:
    """Kill the work before each of its alterations of a file; then it goes on, and leaves what is wanted."""
    assert alterations > 50
    wrong, killed = {}, 0
    for number in range(1, alterations + 1):
        clear(place)
        killed += children.do(place, work, until=number) == -signal.SIGKILL
        code = children.do(place, work)
        if found := runs.differences(runs.kept(place), wanted) if code == 0 else [children.said(place)]:
            wrong[number] = found

    print(f"{killed} kills, {len(wrong)} differ")
    assert wrong == {}
    assert killed > 0.9 * alterations  # a lock that is asked for again is one more


@pytest.mark.parametrize("family", list(runs.FAMILIES))
def test_killed_anywhere_again_and_again(family: str, tmp_path: Path) -> None:
    place, chance = tmp_path / "place", random.Random(family)
    wanted, _, _ = unbroken(family, place)
    begun = time.monotonic()  # once more, without the imports of the first
    assert children.do(place, command(family, place)) == 0
    seconds, killed, wholes = time.monotonic() - begun, 0, 0
    clear(place)

    while killed < -(-KILLS // len(runs.FAMILIES)):
        code = children.killed_after(place, command(family, place), chance.uniform(0.2, 1.0) * seconds)
        assert code in (0, -signal.SIGKILL), children.said(place)
        killed += code != 0
        if code == 0:
            assert runs.differences(runs.kept(place), wanted) == []
            clear(place)
            wholes += 1

    assert children.do(place, command(family, place)) == 0, children.said(place)
    assert runs.differences(runs.kept(place), wanted) == []
    print(f"{family}: {killed} kills, {wholes + 1} runs finished, 0 differ")


@pytest.mark.parametrize("number", SAID, ids=lambda number: number.name)
@pytest.mark.parametrize("family", list(runs.FAMILIES))
def test_a_signal_in_a_fit_ends_it_with_one_line_and_it_goes_on(
    family: str, number: signal.Signals, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    wanted, _, _ = unbroken(family, place)

    assert children.do(place, command(family, place), in_a_fit=number) == 128 + number

    lines = [line for line in children.said(place).splitlines() if " | " not in line]
    assert lines == [f"recretrain: {SAID[number]}; the same command goes on where it stopped"]
    assert children.do(place, command(family, place)) == 0, children.said(place)
    assert runs.differences(runs.kept(place), wanted) == []
