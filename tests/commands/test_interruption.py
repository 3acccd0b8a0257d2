"""A signal in the middle of a fit: one line, the code that shells know, and a run that goes on where it stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from recretrain.interruption import Interruption, interruptible
from recretrain.methods.learners.log_loss import LogLoss

WORDS = [
    *("method=fine_tune", "data=table", "data.path=rows.csv", "data.name=own", "data.cut.periods=4"),
    *("schedule.start=2", "schedule.first_test=3", "schedule.choosing=0", "eval.questions.candidates=10"),
    *("trainer.threads=1", "trainer.progress=false"),
]
SAID = {
    signal.SIGINT: "recretrain: interrupted; the same command goes on where it stopped",
    signal.SIGTERM: "recretrain: stopped by SIGTERM; the same command goes on where it stopped",
    signal.SIGUSR1: "recretrain: stopped by SIGUSR1; the same command goes on where it stopped",
}


@pytest.fixture(autouse=True)
def signals_are_heard() -> Iterator[None]:
    """As in a terminal: a job in the background of a script is told to ignore Ctrl-C, and hands that on."""
    ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    heard = {signal.SIGINT: signal.default_int_handler, **dict.fromkeys(ending, signal.SIG_DFL)}
    before = {number: signal.signal(number, handler) for number, handler in heard.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def rows(recretrain: Any) -> None:
    """A small file of interactions in the folder where commands run."""
    lines = [f"u{row % 20},i{(row * 7 + row // 20) % 40},{row}" for row in range(400)]
    Path("data").mkdir()
    Path("data/rows.csv").write_text("\n".join(["user,item,timestamp", *lines, ""]))


@pytest.fixture
def in_a_fit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Send this process a signal from the fifth batch that is learned."""
    real, seen = LogLoss.loss, []

    def by(number: int) -> None:
        def loss(objective: LogLoss, batch: Any) -> Tensor:
            seen.append(batch)
            if len(seen) == 5:
                os.kill(os.getpid(), number)
            return real(objective, batch)

        monkeypatch.setattr(LogLoss, "loss", loss)

    handlers = {number: signal.getsignal(number) for number in SAID}
    yield by
    assert {number: signal.getsignal(number) for number in SAID} == handlers


@pytest.mark.parametrize("number", SAID, ids=lambda number: number.name)
@pytest.mark.parametrize("sweep", [[], ["-m", "seed=0,1", "hydra.launcher.n_jobs=1"]], ids=["run", "sweep"])
def test_a_signal_in_a_fit_ends_a_command_with_one_line(
    recretrain: Any, in_a_fit: Any, number: signal.Signals, sweep: list[str]
) -> None:
    in_a_fit(number)

    result = recretrain("run", *sweep, *WORDS)

    assert result.code == 128 + number
    assert [line for line in result.err.splitlines() if " | " not in line] == [SAID[number]]
    assert len(list(Path("outputs").glob("*/*/seed=*"))) == 1  # no other run of the sweep was begun
    assert not list(Path("outputs").rglob("error.txt"))
    assert not list(Path("outputs").rglob("rows.csv"))


def test_the_same_command_goes_on(recretrain: Any, in_a_fit: Any) -> None:
    in_a_fit(signal.SIGINT)
    recretrain("run", *WORDS)

    result = recretrain("run", *WORDS)

    assert result.code == 0, result.err
    assert "fine_tune" in result.out


def test_python_sees_ctrl_c_as_it_knows_it(recretrain: Any, in_a_fit: Any) -> None:
    import recretrain as package

    in_a_fit(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        package.run(*WORDS)


def test_handlers_of_others_are_kept() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]


def test_a_thread_has_no_signals() -> None:
    done: list[bool] = []

    def work() -> None:
        with interruptible():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert done == [True]


@pytest.mark.parametrize("number", SAID, ids=lambda number: number.name)
def test_the_code_is_that_of_shells(number: signal.Signals) -> None:
    with pytest.raises(Interruption) as stop, interruptible():
        os.kill(os.getpid(), number)

    assert stop.value.code == 128 + number
