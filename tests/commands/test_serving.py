"""`recommend` and `export` give what the notebook gives, and name what is wrong."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import recretrain as notebook
from recretrain.commands.cli import parser
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

ROOT = Path(__file__).parents[2]
SMALL = [*TINY, "method=fine_tune", "backbone.embedding_size=8", "method.learner.epochs=2"]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line of a run on users `u,0`, ... and items 0, ..."""
    place = tmp_path_factory.mktemp("verbs")
    users, items = tasteful_slices(1, 700, n_users=30, n_items=60)[0]
    frame = pd.DataFrame({"user": [f"u,{one}" for one in users], "item": items, "timestamp": range(len(users))})
    frame.to_parquet(place / "clicks.parquet")
    paths = [f"data.path={place / 'clicks.parquet'}", f"paths.outputs={place}/out", f"paths.cache={place}/cache"]
    return [*SMALL, *paths]


@pytest.fixture(scope="module")
def run(command: list[str]) -> Any:
    return notebook.run(*command)


def test_the_verb_run_finds_nothing_to_do_after_the_notebook(recretrain: Any, run: Any, command: list[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run.folder / "tasks").rglob("*")}

    result = recretrain("run", *command)

    assert result.code == 0, result.err
    assert "fine_tune" in result.out
    assert {path: path.stat().st_mtime_ns for path in (run.folder / "tasks").rglob("*")} == before
    assert notebook.tables(run.folder.parents[1]).strip() in result.out


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_recommend_writes_what_the_notebook_gives(recretrain: Any, run: Any, suffix: str) -> None:
    Path("users.txt").write_text("u,3\nu,11\nu,0\n")
    Path("items.csv").write_text("item\n5\n2\n8\n3\n")
    out = Path("deep") / f"top{suffix}"

    result = recretrain(
        *("recommend", str(run.folder), "--users", "users.txt", "--k", "3", "--candidates", "items.csv"),
        *("--exclude-seen", "--out", str(out)),
    )

    assert result.code == 0, result.err
    read = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    loaded = notebook.load(run.folder)
    expected = loaded.recommend(["u,3", "u,11", "u,0"], k=3, candidates=[5, 2, 8, 3], exclude_seen=True)
    assert len(expected)
    assert expected["item"].dtype == "int64"
    pd.testing.assert_frame_equal(read, expected, check_dtype=suffix == ".parquet")
    assert result.err.endswith(f"{len(expected)} rows written to {out}\n")


def test_recommend_for_all(recretrain: Any, run: Any) -> None:
    assert recretrain("recommend", str(run.folder), "--users", "all", "--out", "top.csv").code == 0

    assert pd.read_csv("top.csv").groupby("user").size().tolist() == [20] * 30


def test_export_writes_a_folder(recretrain: Any, run: Any) -> None:
    result = recretrain("export", str(run.folder), "--out", "weights")

    assert result.code == 0, result.err
    assert result.err == "written to weights\n"
    assert (Path("weights") / "weights.safetensors").is_file()
    assert recretrain("export", str(run.folder), "--out", "weights").err == (
        "recretrain: weights is there already; name a new folder, or delete it first\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--users", "all", "--out", "top.txt"], "--out top.txt: its name must end in .parquet or .csv"),
        (["--users", "gone", "--out", "top.csv"], "there is no file gone; check its name"),
        (["--users", "strangers", "--out", "top.csv"], "the run knows no user 'x' (2 of the 3 users asked for are unk"),
        (["--history", "rows.csv", "--out", "top.csv"], "looks at no history; name users instead"),
        (["--support", "rows.csv", "--out", "top.csv"], "takes no support; name users instead"),
    ],
)
def test_a_mistake_of_recommend_gets_one_line(recretrain: Any, run: Any, words: list[str], message: str) -> None:
    Path("strangers").write_text("x\ny\nu,1\n")
    Path("rows.csv").write_text("session,item\na,1\n")

    result = recretrain("recommend", str(run.folder), *words)

    assert result.code == 1
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not Path("top.csv").exists()


def test_unknown_users_are_left_out_if_asked(recretrain: Any, run: Any) -> None:
    Path("users").write_text("x\nu,1\n")
    words = ["recommend", str(run.folder), "--users", "users", "--skip-unknown", "--out", "top.csv"]

    assert recretrain(*words).code == 0
    assert set(pd.read_csv("top.csv")["user"]) == {"u,1"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recommend", "outputs", "--out", "x.csv"], "one of the arguments --users --history --support is required"),
        (["recommend", "outputs", "--users", "all", "--k", "0", "--out", "x.csv"], "0 must be a whole number, at leas"),
        (["recommend", "outputs", "--users", "all"], "the following arguments are required: --out"),
        (["export", "outputs"], "the following arguments are required: --out"),
    ],
)
def test_a_wrong_command_line_is_explained(recretrain: Any, words: list[str], message: str) -> None:
    result = recretrain(*words)

    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize("verb", ["recommend", "export"])
def test_a_misspelt_folder_is_left_unmade(recretrain: Any, verb: str) -> None:
    words = ["--users", "all"] if verb == "recommend" else []

    result = recretrain(verb, "outputs/typo", *words, "--out", "x.csv")

    assert result.code == 1
    assert "outputs/typo is no run folder" in result.err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("override", ["method=sml,fine_tune", "seed=1,2", "method=smll"])
def test_the_notebook_refuses_what_the_verb_refuses(recretrain: Any, override: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011  Mistake is one
        notebook.run(override)

    assert recretrain("run", override).err == f"recretrain: {error.value}\n"


def test_the_notebook_of_the_page_runs(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/serving.md").read_text(), re.DOTALL)
    (program,) = [block for block in blocks if "recretrain.run(" in block]
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(notebook, "run", lambda *words: asked.append(words) or run)
    monkeypatch.chdir(tmp_path)
    Path("outputs").symlink_to(run.folder.parents[2])

    exec(program, {})

    assert asked == [("method=sml", "data=yelp")]
    assert Path("exports/sml/weights.safetensors").is_file()
    assert "fine_tune" in capsys.readouterr().out


def test_the_commands_of_the_page_are_understood() -> None:
    lines = re.findall(r"^recretrain ((?:recommend|export) .*)$", (ROOT / "docs/serving.md").read_text(), re.MULTILINE)
    found = [parser().parse_args(shlex.split(line, comments=True)) for line in lines]

    assert len(found) >= 4
    assert all(str(one.run).startswith("outputs/") for one in found)


def test_tables_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        notebook.tables(tmp_path / "typo")


def test_the_import_is_light() -> None:
    program = "import sys, recretrain; recretrain.run, recretrain.load, recretrain.tables"
    heavy = ("torch", "pandas", "numpy", "hydra", "omegaconf", "duckdb", "pyarrow", "matplotlib")

    done = subprocess.run(
        [sys.executable, "-c", f"{program}; print([name for name in {heavy} if name in sys.modules])"],
        capture_output=True,
        text=True,
    )

    assert done.stdout == "[]\n", done.stderr
