"""Sessions and episodes through the command line, on small generated files in the raw layouts."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

FILMS = [
    "data=movielens",
    "data.source=synthetic",
    "data.generator.users=150",
    "data.generator.items=120",
    "data.generator.ratings=6000",
    "trainer.progress=false",
    "trainer.threads=1",
]
QUICK_MELU = ["method=melu", "method.learner.epochs=2", "method.learner.learning_rate=1e-3"]
CLICKS = [
    "data=diginetica",
    "data.source=synthetic",
    "data.generator.clicks=3000",
    "data.generator.items=200",
    "backbone.embedding_size=16",
    "method.learner.epochs=2",
    "schedule.last_test=3",
    "trainer.progress=false",
    "trainer.threads=1",
]

REVIEWS = [
    "data=amazon_pair",
    "data.source=synthetic",
    "data.generator.users=120",
    "data.generator.items=40",
    "data.generator.reviews=1500",
    "data.domains.core.min_item=2",
    "data.domains.core.min_user=2",
    "trainer.progress=false",
    "trainer.threads=1",
]
SMALL_CATN = [
    "method=catn",
    "backbone.style.aspects=2",
    "backbone.style.filters=8",
    "method.learner.stopping.epochs=1",
    "method.learner.stopping.least_steps=2",
]


def folder_of(outputs: str) -> Path:
    (found,) = Path(outputs).glob("*/*/seed=*")
    return found


def test_ader_runs_cycle_by_cycle_and_goes_on_where_it_stopped(recretrain: Any) -> None:
    first = recretrain(
        "run", "method=ader", *[word for word in CLICKS if "last_test" not in word], "schedule.last_test=2"
    )
    more = recretrain("run", "method=ader", *CLICKS)

    assert (first.code, more.code) == (0, 0), first.err + more.err
    assert "tested periods 1-3, whole catalogue" in more.out
    assert "(prefixes of sessions)" in more.out
    assert "Synthetic data: no published figure stands beside it." in more.out
    assert len(list(folder_of("outputs").glob("tasks/*/rows.csv"))) == 3


def test_melu_is_reported_state_by_state(recretrain: Any) -> None:
    result = recretrain("run", *QUICK_MELU, *FILMS)
    table = recretrain("report", "outputs", "--table", "melu_table2").out

    assert result.code == 0, result.err
    assert "warm: existing films of existing users" in table
    assert "0.7884" not in table  # no published figure beside generated data
    assert recretrain("report", "outputs", "--group", "user_cold").out.count("melu") >= 1


def test_evidence_names_films_and_writes_them_down(recretrain: Any) -> None:
    recretrain("run", *QUICK_MELU, *FILMS)
    run = folder_of("outputs")

    shown = recretrain("evidence", str(run), "--top", "5")
    with (run / "evidence.csv").open() as file:
        rows = list(csv.DictReader(file))

    assert shown.code == 0, shown.err
    assert [int(row["place"]) for row in rows] == [1, 2, 3, 4, 5]
    assert [float(row["score"]) for row in rows] == sorted((float(row["score"]) for row in rows), reverse=True)
    assert all(row["title"] and row["title"] in shown.out for row in rows)
    assert all(0 < float(row["popularity"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["method=item_mean", *FILMS], "is a run of RatingBiases; evidence candidates are MeLU's"),
        ([], "is no run folder (it has no config.yaml and run.json)"),
    ],
)
def test_evidence_of_something_else_is_refused(recretrain: Any, words: list[str], message: str) -> None:
    if words:
        recretrain("run", *words)
    else:
        Path("outputs/a/b/seed=0").mkdir(parents=True)

    result = recretrain("evidence", str(folder_of("outputs")))

    assert result.code == 1
    assert message in result.err


def test_aspects_shows_the_words_of_a_rating(recretrain: Any) -> None:
    recretrain("run", *SMALL_CATN, *REVIEWS)
    run = folder_of("outputs")

    shown = recretrain("aspects", str(run), "--top", "3")
    unknown = recretrain("aspects", str(run), "--user", "nobody")

    assert shown.code == 0, shown.err
    assert " of which biases are " in shown.out
    rows = [line for line in shown.out.splitlines() if line.lstrip().startswith(("1  ", "2  "))]
    assert [line.count(",") for line in rows] == [4, 4]  # three words of the user, three of the item
    assert "user's 2" in shown.out
    assert unknown.code == 1
    assert "have no user 'nobody'; there are " in unknown.err


def test_aspects_of_something_else_are_refused(recretrain: Any) -> None:
    recretrain("run", "method=mapped_biases", *REVIEWS)

    result = recretrain("aspects", str(folder_of("outputs")))

    assert result.code == 1
    assert "is a run of MappedBiases; aspects are CATN's" in result.err


def test_evidence_of_a_misspelt_folder_leaves_nothing_behind(recretrain: Any) -> None:
    assert recretrain("evidence", "outputs/typo").code == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["method=melu", "data=yelp", "data.source=synthetic"], "fields"),
        (["method=sml", "data=diginetica", "data.source=synthetic"], "candidates"),
        (
            ["method=ader", "data=diginetica", "data.source=synthetic", "method.memory.selection=best"],
            "selection='best' must be one",
        ),
        (
            ["method=ader", "data=diginetica", "data.source=synthetic", "method.reads=some"],
            "method.reads='some' must be one",
        ),
        (["method=ader", "backbone=mf", "data=diginetica", "data.source=synthetic"], "SequenceBackbone"),
        (["method=ader", "data=diginetica", "data.source=raw"], "train-item-views.csv"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_message(recretrain: Any, words: list[str], message: str) -> None:
    result = recretrain("run", *words, "trainer.progress=false", "trainer.threads=1")

    assert result.code == 1
    assert message in result.err
    assert "Traceback" not in result.err
