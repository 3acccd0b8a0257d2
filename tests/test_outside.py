"""What the machine refuses becomes one line with the place and the cure; a bug stays a bug."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest
import torch

from recretrain.outside import _CURES, refused


def raised(act: Callable[[], object]) -> BaseException:
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        act()
    return caught.value


def test_real_refusals_of_paths(tmp_path: Path) -> None:
    file, loop, empty = tmp_path / "file", tmp_path / "loop", tmp_path / "folder"
    file.write_text("x")
    empty.mkdir()
    loop.symlink_to(loop)

    assert (
        refused(raised((file / "in").mkdir)) == f"{file}/in: a file stands where a folder is needed; name another path"
    )
    assert refused(raised(empty.read_text)) == f"{empty}: it is a folder, and a file is needed; name a file"
    assert refused(raised(loop.read_text)) == f"{loop}: a symbolic link leads back to itself; mend or remove the link"
    assert refused(raised((tmp_path / "none").read_text)) == f"{tmp_path}/none: there is no such place; check the path"
    long = refused(raised((tmp_path / ("x" * 300)).read_text))
    assert long is not None
    assert long.endswith("xxx: the name is too long; shorten it")
    assert len(long) < 200


def test_a_full_disk_is_told_by_python_and_by_libraries() -> None:
    full = raised(lambda: Path("/dev/full").write_text("x"))
    of_duckdb = duckdb.IOException('IO Error: Could not write file "/there/rows.duckdb": No space left on device')
    of_torch = [
        *(raised(lambda n=n: torch.save(torch.zeros(n), "/dev/full")) for n in (1, 10**6)),
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 7040 vs 6928"),
        RuntimeError("basic_ios::clear: iostream error"),
    ]

    assert refused(full) == "there is no space left on the disk; free some, and repeat the command"
    assert refused(of_duckdb) == f"/there/rows.duckdb: {refused(full)}"
    assert [refused(error) for error in of_torch] == [refused(full)] * 4


def test_memory_is_told_with_the_amount() -> None:
    of_numpy = raised(lambda: np.empty((2**40, 2**10)))
    of_torch = raised(lambda: torch.empty(2**40, 2**10))

    assert "not enough memory (unable to allocate 8.00 PiB)" in str(refused(of_numpy))
    assert "not enough memory (you tried to allocate" in str(refused(of_torch))


def test_what_a_library_wraps_is_found() -> None:
    inner = PermissionError(errno.EACCES, "Permission denied", "/there")
    outer = RuntimeError("it went wrong")
    outer.__cause__ = inner

    assert refused(outer) == "/there: there is no permission to use it; change its permissions, or name another place"


@pytest.mark.parametrize("number", _CURES)
def test_every_cause_has_its_cure(number: int) -> None:
    line = refused(OSError(number, os.strerror(number), "/there"))

    assert line is not None
    assert line.startswith("/there: ")
    assert "; " in line
    assert "\n" not in line


def test_the_place_that_is_meant_is_named_and_not_the_one_beside() -> None:
    error = OSError(errno.ENOTDIR, "Not a directory", "/there/.out.csv.4711")

    assert str(refused(error)).startswith("/there/out.csv: ")


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), RuntimeError("x"), TypeError("x"), OSError("x"), None]
)
def test_a_bug_stays_one(error: BaseException | None) -> None:
    assert refused(error) is None
