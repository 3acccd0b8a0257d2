"""A run on several devices is a run of several processes: one result, one message, and none that stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from recretrain.configuration.compose import compose
from recretrain.engine.together import Job, together
from recretrain.errors import Mistake
from tests.reliability import runs

PROGRAM = "from recretrain.commands.cli import main; raise SystemExit(main())"
FAMILIES: Mapping[str, list[str]] = {
    "sml": [],
    "ader": [
        "backbone.dropout=0",
        "method.learner.batch_size=32",
        "method.memory.size=40",
        "method.memory.selection=random",
    ],
    "melu": ["method.learner.batch_size=7"],
}
LONG = ["method.loops=4", "method.transfer.epochs=20"]


def command(family: str, place: Path, *more: str) -> list[str]:
    words = [
        word for word in runs.words(family, place) if word.partition("=")[0] not in {w.partition("=")[0] for w in more}
    ]
    return [sys.executable, "-c", PROGRAM, "run", *words, *more]


def done(family: str, place: Path, *more: str) -> subprocess.CompletedProcess[str]:
    place.mkdir(exist_ok=True)
    return subprocess.run(command(family, place, *more), cwd=place, capture_output=True, text=True, check=False)


def begun(place: Path) -> subprocess.Popen[str]:
    """A long run of two processes, in the middle of a fit."""
    place.mkdir(exist_ok=True)
    words = command("sml", place, "trainer.devices=2", *LONG)
    run = subprocess.Popen(words, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    until = time.monotonic() + 120
    while not list(place.glob("out/*/*/*/tasks/0")) and run.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert run.poll() is None
    return run


def children(parent: int) -> list[int]:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(word) for word in text.split()]


def is_there(process: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def tensors(state: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield name, state
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from tensors(value, f"{name}/{key}")


def learned(place: Path) -> dict[str, Tensor]:
    """The weights and moments after the last task, but for weights whose gradient is nothing but rounding."""
    (state,) = place.glob("out/*/*/*/tasks/*/state.pt")
    found = dict(tensors(torch.load(state, weights_only=True)))
    return {name: value for name, value in found.items() if value.is_floating_point() and "key.bias" not in name}


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are found through /proc"),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_two_processes_learn_what_one_does(family: str, tmp_path: Path) -> None:
    for count in ("1", "2"):
        result = done(family, tmp_path / count, f"trainer.devices={count}", *FAMILIES[family])
        assert result.returncode == 0, result.stderr

    one, two = learned(tmp_path / "1"), learned(tmp_path / "2")

    assert one.keys() == two.keys()
    assert any(not torch.equal(one[name], two[name]) for name in one)  # they were added up in another order
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=1e-3, atol=2e-5, msg=name)
    (card,) = (tmp_path / "2").glob("out/*/*/*/run.json")
    assert card.read_text().count('"devices": 2') == 2  # of the run, and of its process


POPULARITY = [
    *("method=popularity", "data.generator.reviews=600", "data.generator.users=60", "data.generator.items=60"),
    *("data.filters.k_core=0", "data.cut.periods=6", "schedule.start=2", "schedule.first_test=3"),
    *("schedule.choosing=1", "eval.questions.candidates=10", "data.source=synthetic"),
]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            lambda place: [*POPULARITY, f"paths.outputs={place / 'out'}"],
            "Popularity has no weights that processes",
        ),
        (lambda place: runs.words("catn", place), "a batch of FlowLoss cannot be divided among processes; set trainer"),
    ],
    ids=["popularity", "catn"],
)
def test_what_does_not_divide_is_refused_in_one_line(words: Any, said: str, tmp_path: Path) -> None:
    run = [sys.executable, "-c", PROGRAM, "run", *words(tmp_path), "trainer.devices=2"]

    result = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert result.returncode == 1
    (line,) = [line for line in result.stderr.splitlines() if " | " not in line]
    assert line.startswith(f"recretrain: trainer.devices=2: {said}")
    assert not list(tmp_path.glob("out/*"))


def test_a_process_that_dies_ends_the_run_with_one_line_and_it_goes_on(tmp_path: Path) -> None:
    run = begun(tmp_path / "killed")
    (other,) = children(run.pid)

    os.kill(other, signal.SIGKILL)

    _, said = run.communicate(timeout=60)
    assert run.returncode == 1
    assert [line for line in said.splitlines() if " | " not in line] == [
        "recretrain: process 2 of 2 of the run was ended by SIGKILL; the same command goes on where it stopped"
    ]
    for place in ("killed", "whole"):
        result = done("sml", tmp_path / place, "trainer.devices=2", *LONG)
        assert result.returncode == 0, result.stderr
    assert runs.differences(runs.kept(tmp_path / "killed"), runs.kept(tmp_path / "whole")) == []


@pytest.mark.parametrize(
    ("threads", "said"),
    [
        ("many", r"process 2 of 2 of the run failed \(RuntimeError: set_num_threads.*\); the same command goes on"),
        (1, r"yelp: review\.json .* not found at .*none/yelp"),
    ],
    ids=["bug", "mistake"],
)
def test_what_ends_a_process_is_said_by_the_first(threads: Any, said: str, tmp_path: Path) -> None:
    config, choices = compose([*runs.words("sml", tmp_path), "data.source=raw"])
    text = OmegaConf.to_yaml(config, resolve=True)
    begun = Job(config=text, choices=choices, prepared="", folder="", done=0, cuda=False, threads=threads)

    def wait_for_it() -> None:
        with together(2, torch.device("cpu"), begun) as peers:
            assert peers is not None
            peers.wait()

    with pytest.raises(Mistake, match=said):
        wait_for_it()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_no_process_stays_behind(number: signal.Signals, tmp_path: Path) -> None:
    run = begun(tmp_path / "place")
    (other,) = children(run.pid)
    assert is_there(other)

    os.kill(run.pid, number)

    _, said = run.communicate(timeout=60)
    assert run.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert len([line for line in said.splitlines() if " | " not in line]) == (number != signal.SIGKILL)
    until = time.monotonic() + 30
    while is_there(other) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_there(other)
