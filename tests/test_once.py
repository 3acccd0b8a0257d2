"""Locks around what is made once: their files go with them, also where a process was killed."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from recretrain.once import forget_lock, made, only_one


def test_the_file_of_a_lock_goes_with_it(tmp_path: Path):
    with only_one(tmp_path / "place"):
        assert [path.name for path in tmp_path.iterdir()] == [".place.lock"]

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_of_a_lock_is_removed(tmp_path: Path):
    file = tmp_path / "made" / "file.bin"
    made(file, lambda out: out.write(b"content"))
    (tmp_path / ".made.lock").touch()  # killed between the file and the lock

    assert made(file, lambda out: out.write(b"other")).read_bytes() == b"content"

    assert not (tmp_path / ".made.lock").exists()


def test_a_lock_that_is_held_stays(tmp_path: Path):
    held = tmp_path / ".place.lock"

    with FileLock(held):
        forget_lock(tmp_path / "place")
        assert held.exists()
