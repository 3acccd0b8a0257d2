"""Every mistake: one short message with the culprit and the cure, no traceback, exit code not 0."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from recretrain.configuration.compose import conf_dir

MISTAKES = {
    "method=smll": "there is no method 'smll'; did you mean sml? ",
    "methd=sml": "there is no key 'methd'; did you mean method? keys: backbone, data, eval, experiment, ",
    "method.loop=1": "method has no key 'loop'; did you mean loops? ",
    "+method.loop=1": "method has no key 'loop'; did you mean loops? ",
    "method.pretraining.epoch=1": "method.pretraining has no key 'epoch'; did you mean epochs? keys: batch_size, ",
    "seed=abc": "seed=abc: seed must be a whole number, for example seed=0",
    "seed=1.5": "seed=1.5: seed must be a whole number, for example seed=0",
    "seed=1,2": "seed=1,2 names several values; add -m to run each, or write seed=[1,2] for a list, 'seed=\"1,2\"' for",
    "data.cut=months": "data.cut=months must be keys with a _target_ (a Cut) or null; did you mean cut@data.cut=mon",
    "eval.questions=prefixes": "; did you mean eval=prefixes?",
    "method.pretraining=regularised": "; did you mean pretraining@method.pretraining=regularised?",
    "paths.memory=1XB": "paths.memory='1XB' must be text, an amount of memory such as 500MB or 1GB; change",
    "seed=-1": "seed=-1 must be a whole number, at least 0; change seed",
    "=5": "Config group override must be a string or a list",
    "method._target_=os.system": "method._target_=os.system is not a class; name one",
    "seed": "cannot read 'seed'; write key=value, and quote a value that is no plain word: 'key=\"value\"'",
    "eval.ks=[1": "cannot read 'eval.ks=[1'; write key=value, and quote a value that is no plain word: 'eval.ks=",
    "paths.output=x": "paths has no key 'output'; did you mean outputs? keys: cache, data, memory, outputs",
    "+colour=red": "there is no key 'colour'; keys: backbone, data, ",
    "schedule.cut.periods=20": "schedule.cut is now data.cut\n",
    "+schedule.cut=null": "schedule.cut is now data.cut\n",
    "method.loops=many": "method.loops='many' must be a whole number",
    "method.loops=2.5": "method.loops=2.5 must be a whole number",
    "method.transfer.network.product=3": "method.transfer.network.product=3 must be true or false; change method.",
    "data.cut.periods=x": "data.cut.periods='x' must be a whole number, at least 1; change data.cut",
    "backbone.init_std=nan": "backbone.init_std=nan must be a finite number",
    "method.pretraining=5": "method.pretraining=5 must be keys with a _target_",
    "~method.loops": "method.loops has no value; give method.loops=...",
    "data=table": "data.path has no value; give data.path=...",
    "seed=${oc.env:NO_SUCH_VARIABLE}": "Environment variable 'NO_SUCH_VARIABLE' not found",
    "hydra/launcher=one_machin": "there is no hydra/launcher 'one_machin'; did you mean one_machine? ",
    "+method.loops=3": "method.loops is there already; leave out the + before it",
    "--fast": "there is no option --fast; `recretrain run --help` lists options, groups and keys",
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_gets_one_line_with_the_cure(recretrain: Any, engine: list[Any], override: str) -> None:
    result = recretrain("run", "method=sml", override)

    assert result.code == 1
    assert MISTAKES[override] in result.err
    assert result.err.startswith("recretrain: ")
    assert len(result.err.splitlines()) == 1
    assert not engine
    assert not Path("outputs").exists()


def test_a_wrong_name_in_a_sweep_stops_before_the_first_run(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("run", "-m", "method=sml,smll")

    assert result.code == 1
    assert result.err.startswith("recretrain: there is no method 'smll'; did you mean sml?")
    assert not engine


def test_a_yaml_error_names_file_and_line(
    recretrain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: list[Any]
) -> None:
    shutil.copytree(conf_dir(), tmp_path / "conf")
    (tmp_path / "conf" / "method" / "sml.yaml").write_text("loops: [1\nepochs: 2\n")
    monkeypatch.setattr("recretrain.commands.run.conf_dir", lambda: tmp_path / "conf")

    result = recretrain("run", "method=sml")

    assert result.code == 1
    assert result.err.startswith("recretrain: conf/method/sml.yaml, line 2: expected ',' or ']', but got ':'")
    assert len(result.err.splitlines()) == 1


FILES = {
    "": "method names no class; choose method=..., or set method._target_ in its file",
    "- a": "method names no class",
    "5": "Invalid loaded object type: int",
    "loops: 3": "method names no class",
    "_target_: nowhere.Method": "method._target_=nowhere.Method is not there; name a class as package.module.Class",
    "_target_: fractions.gcd": "method._target_=fractions.gcd is not there",
    "_target_: math.gcd": "method._target_=math.gcd is not a class; name one",
    "defaults: 5": "Invalid defaults list in 'method/own', defaults must be a list",
    "defaults:\n  - own": "a file of the configuration stands in its own defaults list; take it out there",
    "a: !!python/object:os.system {}": "method/own.yaml, line 1: could not determine a constructor",
    "a: ${nowhere}": "method.a: Interpolation key 'nowhere' not found",
}


@pytest.mark.parametrize("text", FILES, ids=repr)
def test_a_mistake_in_one_s_own_file_gets_one_line(
    recretrain: Any, tmp_path: Path, engine: list[Any], text: str
) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "own.yaml").write_text(text)

    result = recretrain("run", f"hydra.searchpath=[file://{tmp_path}]", "method=own")

    assert result.code == 1
    assert result.err.startswith(f"recretrain: {FILES[text]}")
    assert len(result.err.splitlines()) == 1
    assert not engine


def test_a_file_that_is_not_text_gets_one_line(recretrain: Any, tmp_path: Path, engine: list[Any]) -> None:
    (tmp_path / "method").mkdir()
    (tmp_path / "method" / "own.yaml").write_bytes(b"\xff\xfe")

    result = recretrain("run", f"hydra.searchpath=[file://{tmp_path}]", "method=own")

    assert result.err == f"recretrain: {tmp_path}/method/own.yaml is not UTF-8 text (byte 1); save it as UTF-8\n"
    assert len(result.err.splitlines()) == 1


def test_missing_raw_data_say_where_to_get_them_and_what_works_without(recretrain: Any) -> None:
    result = recretrain("run", "data=yelp", "data.source=raw")

    assert result.code == 1
    assert "not found at data/yelp" in result.err
    assert "https://www.yelp.com/dataset" in result.err
    assert "data.source=synthetic" in result.err
    assert "Traceback" not in result.err


def test_a_refused_value_comes_without_traceback(
    recretrain: Any, engine: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from recretrain.errors import ConfigError

    def refuse(*_: Any, **__: Any) -> None:
        raise ConfigError("trainer.device=gpu: give auto, cpu or cuda")

    monkeypatch.setitem(sys.modules, "recretrain.engine.runner", SimpleNamespace(run=refuse))  # type: ignore[arg-type]

    assert recretrain("run").err == "recretrain: trainer.device=gpu: give auto, cpu or cuda\n"


@pytest.mark.parametrize("variable", ["RECRETRAIN_TRACEBACK", "HYDRA_FULL_ERROR"])
def test_the_traceback_of_a_mistake_can_be_asked_for(
    recretrain: Any, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    from recretrain.errors import ConfigError

    monkeypatch.setenv("RECRETRAIN_TRACEBACK", "0")  # restored after the test
    monkeypatch.setenv(variable, "1")

    with pytest.raises(ConfigError, match="did you mean sml"):
        recretrain("run", "method=smll")


def test_a_bug_keeps_its_traceback(recretrain: Any, engine: list[Any]) -> None:
    result = recretrain("run", "seed=13")

    assert result.code == 1
    assert "Traceback" in result.err
    assert "RuntimeError: thirteen brings bad luck" in result.err


def test_interrupting_says_how_to_go_on(recretrain: Any, engine: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "recretrain.engine.runner", SimpleNamespace(run=interrupt))  # type: ignore[arg-type]

    result = recretrain("run")

    assert result.code == 130
    assert result.err == "recretrain: interrupted; the same command goes on where it stopped\n"


def test_other_verbs_explain_themselves_too(recretrain: Any) -> None:
    assert "did you mean sml_table1?" in recretrain("reproduce", "sml_table").err
    assert "did you mean sml?" in recretrain("data", "prepare", "method=smll").err
    assert "there is no folder nowhere" in recretrain("report", "nowhere").err
    assert recretrain("data", "synth", "here", "data=yelp2019").err.startswith("recretrain: there is no generator")


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["runn"], "there is no verb 'runn'; did you mean run? verbs: "),
        (["reprot", "outputs"], "there is no verb 'reprot'; did you mean report? "),
        (["lost"], "there is no verb 'lost'; did you mean list? verbs: "),
        (["data", "prepar"], "there is no verb 'data prepar'; did you mean prepare? verbs: "),
    ],
)
def test_a_misspelt_verb_gets_the_one_that_was_meant(recretrain: Any, words: list[str], cure: str) -> None:
    result = recretrain(*words)

    assert result.code == 2
    assert result.err.startswith(f"recretrain: {cure}")
    assert len(result.err.splitlines()) == 1


def test_no_verb_at_all_shows_the_help(recretrain: Any) -> None:
    result = recretrain()

    assert (result.code, result.err) == (2, "")
    assert result.out == recretrain("--help").out


def test_a_reader_who_has_seen_enough_is_no_mistake(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        [sys.executable, "-m", "recretrain", "list"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True
    )

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["prepare", "data=yelp", "data.filters.repeats=firts"], "data.filters.repeats"),
        (["prepare", "data=table", "data.path=x", "data.columns.time_unit=days"], "data.columns.time_unit"),
        (["prepare", "data=yelp", "data.cut.periods=x"], "data.cut.periods='x' must be a whole number"),
        (["synth", "here", "data=yelp", "data.generator.users=x"], "data.generator.users='x' must be a whole number"),
        (
            ["synth", "here", "data=yelp", "data.filters.k_cor=1"],
            "data.filters has no key 'k_cor'; did you",
        ),
    ],
)
def test_verbs_on_data_check_its_values(recretrain: Any, words: list[str], message: str) -> None:
    result = recretrain("data", *words)

    assert result.code == 1
    assert result.err.startswith(f"recretrain: {message}")
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reproduce", "sml_table1", "--jobs", "0"], "argument --jobs: 0 must be a whole number, at least 1"),
        (["evidence", "x", "--top=-1"], "argument --top: -1 must be a whole number, at least 1"),
        (["evidence", "x", "--top", "2.5"], "argument --top: 2.5 must be a whole number, at least 1"),
        (["evidence", "x", "--least-error", "nan"], "argument --least-error: nan must be a number, greater than 0"),
        (["evidence", "x", "--least-error", "few"], "argument --least-error: few must be a number, greater than 0"),
    ],
)
def test_options_of_verbs_have_ranges_too(recretrain: Any, words: list[str], message: str) -> None:
    result = recretrain(*words)

    assert result.code == 2
    assert message in result.err


def test_the_program_exits_with_the_code(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recretrain", "run", "methd=sml"], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr.startswith("recretrain: there is no key 'methd'")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_table_gets_one_line(recretrain: Any, tmp_path: Path) -> None:
    result = recretrain("report", str(tmp_path), "--table", "sml_table")

    assert result.code == 1
    assert result.err.startswith("recretrain: no table 'sml_table'; there are: ")
