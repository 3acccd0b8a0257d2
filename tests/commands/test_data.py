"""`recretrain data`: from raw files to period files, in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SMALL = [
    "data=yelp",
    "data.source=synthetic",
    "data.generator.reviews=600",
    "data.generator.users=60",
    "data.generator.items=60",
    "data.filters.k_core=0",
    "data.cut.periods=5",
]


def test_list_says_what_was_found(recretrain: Any) -> None:
    shown = recretrain("data", "list").out

    rows = {line.split()[0]: line for line in shown.splitlines()}
    assert "generator" in rows["yelp"]
    assert "missing" in rows["yelp2019"]


def test_prepare_prints_the_folder_and_what_was_dropped(recretrain: Any, tmp_path: Path) -> None:
    result = recretrain("data", "prepare", *SMALL)

    assert result.code == 0
    folder = Path(result.out.splitlines()[0])
    assert (folder / "stream.json").is_file()
    assert "yelp (synthetic): 600 interactions" in result.out
    assert "in 5 periods" in result.out
    assert "repeats=first" in result.out


def test_describe_takes_overrides_or_a_folder(recretrain: Any) -> None:
    folder = recretrain("data", "prepare", *SMALL).out.splitlines()[0]

    by_overrides = recretrain("data", "describe", *SMALL).out
    by_folder = recretrain("data", "describe", folder).out

    assert by_overrides == by_folder
    assert len(by_folder.splitlines()) == 1 + 1 + 2 + 5  # a sentence, a blank line, the head and five periods


def test_synth_writes_files_that_are_read_as_raw(recretrain: Any, tmp_path: Path) -> None:
    made = recretrain("data", "synth", "mine", *SMALL)
    read = recretrain("data", "prepare", *SMALL, "data.source=raw", f"data.path={tmp_path}/mine")

    assert made.code == 0
    assert read.code == 0, read.err
    assert "yelp: 600 interactions" in read.out
    assert "is not empty" in recretrain("data", "synth", "mine", *SMALL).err


FILMS = ["data=movielens", "data.source=synthetic", "data.generator.users=150", "data.generator.items=120"]
CLICKS = ["data=diginetica", "data.source=synthetic", "data.generator.clicks=2000", "data.generator.items=150"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["prepare", *SMALL],
        ["prepare", *FILMS, "data.generator.ratings=6000"],
        ["prepare", *CLICKS, "method=ader"],
        ["synth", "here", *SMALL],
        ["list"],
    ],
    ids=["reviews", "films", "clicks", "synth", "list"],
)
def test_nothing_is_imported_that_only_trains(arguments: list[str], tmp_path: Path) -> None:
    program = f"import sys; from recretrain.commands.cli import main; code = main({['data', *arguments]!r})"
    report = "print(code, [name for name in ('torch', 'pytorch_lightning', 'matplotlib') if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", f"{program}; {report}"], cwd=tmp_path, capture_output=True, text=True)

    assert done.stdout.splitlines()[-1:] == ["0 []"], done.stderr
