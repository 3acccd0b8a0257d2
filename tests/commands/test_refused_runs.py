"""A run that cannot be is refused before anything is learned, in one line, and leaves no folder behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WORDS = [
    *("data=table", "data.path=rows.csv", "data.name=own", "data.cut.periods=4", "schedule.start=2"),
    *("schedule.first_test=3", "schedule.choosing=0", "trainer.threads=1", "trainer.progress=false"),
]
REFUSED = {
    "method=popularity eval.questions.candidates=50": "of the 40 items seen so far, so fewer than eval.questions."
    "candidates=50",
    "method=fine_tune eval.questions.candidates=10 data.path=one.csv": "user 'solo' has had 40 of the 40 items seen so "
    "far, so fewer than eval.questions.candidates=10",
    "method=sml backbone=item_scores eval.questions.candidates=10": "trains a backbone of kind MF, not ItemScores",
    "method=melu": "these data have no fields of users and items; use data=movielens",
    "method=melu eval=sampled": "method=melu cannot answer eval=sampled on data=table",
    "method=fine_tune schedule.start=9": "schedule",
    "method=fine_tune data.path=nowhere.csv": "not found at data/nowhere.csv",
    "method=fine_tune logger=tensorboard": "logger: the package tensorboard is not installed; pip install",
}


@pytest.fixture(autouse=True)
def files(recretrain: Any) -> None:
    """Small files of interactions in the folder where commands run."""
    lines = [f"u{row % 20},i{(row * 7 + row // 20) % 40},{row}" for row in range(400)]
    alone = [f"solo,i{row % 40},{row}" for row in range(240)]
    Path("data").mkdir()
    for name, rows in (("rows", lines), ("one", alone)):
        Path(f"data/{name}.csv").write_text("\n".join(["user,item,timestamp", *rows, ""]))


@pytest.mark.parametrize("sweep", [[], ["-m", "hydra.launcher.n_jobs=1"]], ids=["run", "sweep"])
@pytest.mark.parametrize("words", REFUSED)
def test_a_refused_run_leaves_no_folder(recretrain: Any, words: str, sweep: list[str]) -> None:
    result = recretrain("run", *sweep, *_last_wins([*WORDS, *words.split()]))

    assert result.code == 1
    assert REFUSED[words] in result.err
    assert "Traceback" not in result.err
    assert "learned period" not in result.err
    assert not Path("outputs").exists()


def test_a_sweep_runs_what_fits_and_names_the_rest(recretrain: Any) -> None:
    """Keys of one family, questions of another: neither stops the sweep, and nothing is asked of them."""
    words = ["method=melu,popularity,rating_biases", "eval.questions.candidates=10", "seed=0,1"]

    result = recretrain("run", "-m", *WORDS, *words, "hydra.launcher.n_jobs=1")

    assert result.code == 0
    assert "popularity" in result.out
    assert sorted(path.name for path in Path("outputs/own").iterdir()) == ["popularity"]
    end = result.err[result.err.index("recretrain: ") :].splitlines()
    assert end[0] == "recretrain: 4 of 6 runs left out, as they cannot be"
    assert [line.partition(": ")[0] for line in end[1:]] == [
        "  method=melu seed=0; method=melu seed=1; method=rating_biases seed=0; method=rating_biases seed=1"
    ]
    assert "eval.questions has no key 'candidates'" in end[1]


def test_a_sweep_of_which_nothing_fits_is_refused(recretrain: Any) -> None:
    result = recretrain("run", "-m", *WORDS, "method=melu,rating_biases", "eval=full")

    assert result.code == 1
    assert result.err.startswith("recretrain: method=melu cannot answer eval=full on data=table: ")
    assert len(result.err.splitlines()) == 1


def test_a_wrong_value_stops_a_sweep_before_its_first_run(recretrain: Any) -> None:
    result = recretrain("run", "-m", *WORDS, "method=spmf,fine_tune", "method.learner.epochs=-1")

    assert result.code == 1
    assert result.err.startswith("recretrain: method.learner.epochs=-1 must be a whole number, at least 1")
    assert "Traceback" not in result.err
    assert not Path("outputs").exists()


def test_a_run_that_is_there_keeps_its_folder(recretrain: Any) -> None:
    recretrain("run", *WORDS, "method=popularity", "eval.questions.candidates=10")
    before = sorted(Path("outputs").rglob("*"))
    Path("data/rows.csv").write_text("user,item,timestamp\nu,i,1\n")

    result = recretrain("run", *WORDS, "method=popularity", "eval.questions.candidates=10")

    assert result.code == 1
    assert sorted(path for path in Path("outputs").rglob("*") if path.name != "error.txt") == before


def test_what_ends_later_keeps_what_was_learned(recretrain: Any) -> None:
    result = recretrain(
        "run", *WORDS, "method=fine_tune", "eval.questions.candidates=10", "method.learner.learning_rate=1e30"
    )

    assert result.code == 1
    assert [line for line in result.err.splitlines() if line.startswith("recretrain: ")] == [
        result.err.splitlines()[-1]
    ]
    assert "lower the learning rate" in result.err
    assert "Traceback" not in result.err
    assert list(Path("outputs").rglob("error.txt"))


def _last_wins(words: list[str]) -> Iterator[str]:
    return iter({word.partition("=")[0]: word for word in words}.values())
