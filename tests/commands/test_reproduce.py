"""`recretrain reproduce`: every sweep of a table of conf/table, then the table."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from recretrain.commands.costs import costs, in_words
from recretrain.commands.reproduce import sweeps
from recretrain.configuration.compose import compose, conf_dir, run_folder
from recretrain.errors import ConfigError


@pytest.fixture
def toy_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """conf/table/toy.yaml: three runs, in a string and in a list."""
    make_toy(tmp_path, monkeypatch, "method=sml,fine_tune data=yelp", "[method=frozen, data=yelp]")


def make_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *runs: str) -> None:
    """Write conf/table/toy.yaml, a table of these runs, into a copy of conf."""
    conf = tmp_path / "conf"
    shutil.copytree(conf_dir(), conf)
    (conf / "table" / "toy.yaml").write_text("# Toy\nruns:\n" + "".join(f"  - {run}\n" for run in runs))
    for module in ("configuration.compose", "commands.run", "commands.reproduce"):
        monkeypatch.setattr(f"recretrain.{module}.conf_dir", lambda: conf)


@pytest.mark.usefixtures("toy_table")
def test_a_table_is_run_and_shown(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("reproduce", "toy", "--jobs", "1")

    assert result.code == 0
    assert [a.choices["method"] for a in engine] == ["sml", "fine_tune", "frozen"]
    assert result.out == "table toy of 3 runs in outputs\n"


@pytest.mark.usefixtures("toy_table")
def test_seeds_and_overrides_reach_every_run(recretrain: Any, engine: list[Any]) -> None:
    recretrain("reproduce", "toy", "--jobs", "1", "--seeds", "1,2", "paths.outputs=elsewhere")

    assert [(a.choices["method"], a.config.seed) for a in engine] == [
        ("sml", 1),
        ("sml", 2),
        ("fine_tune", 1),
        ("fine_tune", 2),
        ("frozen", 1),
        ("frozen", 2),
    ]
    assert {a.config.paths.outputs for a in engine} == {"elsewhere"}


@pytest.mark.usefixtures("toy_table")
def test_a_dry_run_says_what_is_missing_and_runs_nothing(recretrain: Any, engine: list[Any]) -> None:
    recretrain("run", "method=sml", "data=yelp")
    engine.clear()

    lines = recretrain("reproduce", "toy", "--dry-run").out.splitlines()

    assert not engine
    assert lines == [
        "recretrain run method=sml data=yelp  # done",
        "recretrain run method=fine_tune data=yelp  # missing, cost unknown",
        "recretrain run method=frozen data=yelp  # missing, cost unknown",
        "3 runs, 2 to do, cost unknown",
    ]


@pytest.mark.usefixtures("toy_table")
def test_a_dry_run_tells_costs_by_earlier_runs_of_the_method_on_the_data(recretrain: Any) -> None:
    """Another seed took 30 s for each of 4 tasks; one of this run's is done."""
    earlier = Path("outputs/yelp/fine_tune/seed=7-0")
    for task in range(4):
        (earlier / "tasks" / str(task)).mkdir(parents=True)
        (earlier / "tasks" / str(task) / "costs.csv").write_text("task,wall_seconds\n0,30.0\n")
        (earlier / "tasks" / str(task) / "rows.csv").touch()
    (earlier / "run.json").write_text('{"data": "yelp", "method": "fine_tune", "tasks": 4}')
    own = run_folder(*compose(["method=fine_tune", "data=yelp"])) / "tasks" / "0"
    own.mkdir(parents=True)
    for name in ("rows.csv", "costs.csv"):
        (own / name).touch()

    lines = recretrain("reproduce", "toy", "--dry-run").out.splitlines()

    assert lines[1] == "recretrain run method=fine_tune data=yelp  # 1 tasks done, about 1.5 min"
    assert lines[3] == "3 runs, 3 to do, about 1.5 min and 2 of unknown cost"


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (90, "1.5 min"), (9000, "2.5 h")])
def test_costs_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == f"about {words}"


def test_a_file_that_is_no_card_costs_nothing(tmp_path: Path) -> None:
    for name, text in (("a", "{"), ("b", "[]"), ("c", "{}")):
        folder = tmp_path / "yelp" / name / "seed=0-0"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(text)

    assert costs(tmp_path) == {}


@pytest.mark.usefixtures("toy_table")
def test_a_failure_does_not_stop_the_table(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("reproduce", "toy", "--jobs", "1", "--seeds", "1,13")

    assert result.code == 1
    assert len(engine) == 6
    assert "table toy of 3 runs" in result.out
    assert result.err.count("RuntimeError: thirteen brings bad luck") == 3


def test_seeds_take_the_place_of_those_of_the_table(recretrain: Any) -> None:
    (only,) = sweeps("yelp2019", ["method=popularity"], "7")

    assert only[:3] == ["experiment=yelp2019", "seed=7", "method=popularity"]


def test_naming_a_method_leaves_the_others_out() -> None:
    everything = sweeps("sml_table1", [], None)
    of_two = sweeps("sml_table1", ["method=sml,spmf"], None)

    methods = {word for words in of_two for word in words if word.startswith("method=")}
    assert methods <= {"method=sml", "method=spmf", "method=sml,spmf", "method=spmf,sml"}
    assert len(of_two) <= len(everything)
    with pytest.raises(ConfigError, match=r"table sml_table1 has no run with method=ewc"):
        sweeps("sml_table1", ["method=ewc"], None)


def test_naming_data_leaves_the_others_out_and_changes_no_settings() -> None:
    everything = sweeps("ader_table", [], None)
    of_one = sweeps("ader_table", ["data=diginetica", "method=ewc,ader"], None)

    assert of_one == [
        ["experiment=ader_diginetica", "method=ader"],
        ["experiment=ader_diginetica", "method=ewc", "method.weight=1"],
    ]
    assert sweeps("ader_table", ["data=diginetica,yoochoose"], None) == everything
    with pytest.raises(ConfigError, match=r"table ader_table has no run with data=yelp; leave it out"):
        sweeps("ader_table", ["data=yelp"], None)


def test_data_that_are_the_same_to_the_paper_take_the_place_of_others() -> None:
    (only,) = sweeps("sml_table1", ["data=sml_yelp"], None)

    assert only[0] == "experiment=sml_yelp"
    assert only[-1] == "data=sml_yelp"


def test_a_sweep_of_one_run_gets_all_cores() -> None:
    from recretrain.commands.reproduce import _at_once

    assert _at_once(["seed=0"], None) == ["hydra.launcher.n_jobs=1"]
    assert _at_once(["seed=0"], 4) == ["hydra.launcher.n_jobs=1"]
    assert _at_once(["seed=0,1,2"], 2) == ["hydra.launcher.n_jobs=2"]
    assert _at_once(["seed=0,1,2"], None) == []
    assert _at_once(["seed=0", "hydra/launcher=slurm"], None) == []


def test_what_has_no_raw_data_is_left_out_and_named(
    recretrain: Any, engine: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_toy(tmp_path, monkeypatch, "data=douban,rt_critics method=cmf seed=0,1", "method=frozen data=yelp")

    planned = recretrain("reproduce", "toy", "--dry-run").out.splitlines()
    done = recretrain("reproduce", "toy", "--jobs", "1")
    none = recretrain("reproduce", "toy", "method=cmf")

    assert "# 4 runs wait for data; douban: " in planned[0]
    assert planned[1:] == [
        "recretrain run method=frozen data=yelp  # missing, cost unknown",
        "5 runs, 1 to do, cost unknown",
    ]
    assert (done.code, [a.choices["method"] for a in engine]) == (0, ["frozen"])
    assert "left out: douban: " in done.err
    assert none.code == 1
    assert "table toy has no run whose data are here; douban: " in none.err


def test_the_data_of_an_experiment_are_asked_for_by_their_own_name() -> None:
    found = sweeps("catn_table", ["data=book_movie"], None)

    assert len(found) == 4
    assert all("experiment=catn_book_movie" in words for words in found)
