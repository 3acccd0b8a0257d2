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
    assert alterations > 50

    wrong, killed = {}, 0
    for number in range(1, alterations + 1):
        clear(place)
        killed += children.do(place, command(family, place), until=number) == -signal.SIGKILL
        code = children.do(place, command(family, place))
        if found := runs.differences(runs.kept(place), wanted) if code == 0 else [children.said(place)]:
            wrong[number] = found

    print(f"{family}: {killed} kills, {len(wrong)} differ")
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
