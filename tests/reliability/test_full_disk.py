"""A disk that is full is told in one line, and once there is room the same command gives what it gives elsewhere."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.reliability import children, runs

pytestmark = pytest.mark.slow

Disk = Callable[[int], None]  # kB that it has from here on


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of its own at `tmp_path / "disk"`; without the right to make one the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def of(size: int, *words: str) -> bool:
        mount = ["mount", "-t", "tmpfs", "-o", ",".join([*words, f"size={size}k"]), "tmpfs", str(folder)]
        return subprocess.run(mount, capture_output=True, check=False).returncode == 0

    if not of(4):
        pytest.skip("this user may not mount a disk")
    yield lambda size: None if of(size, "remount") else pytest.fail("the disk kept its size")
    subprocess.run(["umount", str(folder)], check=True)


def everything(place: Path, folder: Path) -> dict[str, Any]:
    return {**runs.kept(place), **{f"disk/{name}": content for name, content in runs.kept(folder).items()}}


def clear(*folders: Path) -> None:
    for folder in folders:
        subprocess.run(["find", str(folder), "-mindepth", "1", "-delete"], check=True)


@pytest.mark.parametrize("what", ["outputs", "cache"])
@pytest.mark.parametrize("family", ["sml", "melu"])
def test_a_full_disk_is_told_and_nothing_is_lost(
    family: str, what: Literal["outputs", "cache"], disk: Disk, tmp_path: Path
) -> None:
    place, folder, room = tmp_path / "place", tmp_path / "disk", 64 * 1024
    place.mkdir()
    command = ["run", *runs.words(family, place, f"paths.{what}={folder}")]
    disk(room)
    assert children.do(place, command) == 0, children.said(place)
    wanted = everything(place, folder)
    used = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) // 1024

    for size in sorted({max(4, used * part // 16) for part in range(0, 16, 2)}):
        clear(place, folder)
        disk(size)
        assert children.do(place, command) == 1, f"{size} kB were enough"
        lines = [line for line in children.said(place).splitlines() if " | " not in line]
        assert len(lines) == 1, lines
        assert lines[0].endswith("there is no space left on the disk; free some, and repeat the command")
        disk(room)
        assert children.do(place, command) == 0, children.said(place)
        assert runs.differences(everything(place, folder), wanted) == [], f"after {size} kB"
