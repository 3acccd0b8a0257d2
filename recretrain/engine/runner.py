"""The loop, whole: learn a period, answer its questions, commit; what is done is never done again."""

from __future__ import annotations

import ctypes
import gc
import logging
import platform
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from recretrain.data.kinds import TestSet
from recretrain.data.lineage import lineage
from recretrain.data.schedule import Task
from recretrain.engine import provenance
from recretrain.engine.build import Experiment, experiment, method_class
from recretrain.engine.costs import Meter
from recretrain.engine.fitter import Fitter
from recretrain.engine.growth import check_same_data
from recretrain.engine.peers import Peers
from recretrain.engine.pretrained import Pretrained, code_of
from recretrain.engine.progress import Progress
from recretrain.engine.refusals import check_questions, no_folder_left, users_by_name
from recretrain.engine.seeds import seed_task
from recretrain.engine.store import RunStore
from recretrain.engine.together import Job, together
from recretrain.errors import ConfigError, Mistake
from recretrain.evaluation.base import Answer, Evaluator
from recretrain.interruption import interruptible
from recretrain.methods.base import RetrainMethod
from recretrain.records import AGAIN, FORMAT, UPDATE, Costs, Row, RunCard

log = logging.getLogger("recretrain")

_PACKAGES = ("recretrain", "torch", "pytorch-lightning", "numpy", "hydra-core")


def run(config: DictConfig, *, choices: Mapping[str, str], overrides: Sequence[str], jobs: int = 1) -> Path:
    """Do what is missing of the run that `config` describes; returns its folder.

    `jobs`: how many runs share this machine's cores.
    """
    asked = experiment(config, choices=choices, overrides=overrides)
    with no_folder_left(asked.names.folder), interruptible():
        return _kept(asked, RunStore(asked.names.folder), jobs)


def _kept(asked: Experiment, store: RunStore, jobs: int) -> Path:
    if _is_done(asked, store) and not store.litter():
        return store.folder
    with store.locked():
        store.tidy()
        try:
            with users_by_name(asked.stream.folder):
                _run(asked, store, jobs)
        except Exception:
            with suppress(OSError):  # a full disk must not hide why the run ended
                store.write_text("error.txt", traceback.format_exc())
            raise
        (store.folder / "error.txt").unlink(missing_ok=True)
    return store.folder


def _run(asked: Experiment, store: RunStore, jobs: int) -> None:
    if _is_done(asked, store):  # by a process that held the lock
        return
    before, done = store.card(), store.done()
    some = asked.machine.threads(jobs, method_class(asked.settings).threads)
    threads = provenance.threads_of(before, done, asked.machine.asked_threads, some)
    asked.machine.ready(threads)
    now = card_of(asked, threads)
    here = provenance.process_of(now, done)
    card = provenance.joined(before, provenance.continued(before, now, done), here)
    check_questions(asked)
    store.write_config(asked.names.text, asked.names.digest)
    store.write_card(card)
    synthetic = " (synthetic)" if asked.stream.synthetic else ""
    # bars of parallel jobs would overwrite each other; their lines do not
    bar = asked.machine.progress and jobs == 1
    progress = Progress(f"{card['method']} on {card['data']}{synthetic}", bar=bar, logger=asked.logger)
    progress.begins(asked.names.text)
    machine = asked.machine
    with together(machine.devices, machine.device, _job(asked, store, threads)) as peers, _no_cycles_left() as clear:
        for index in loop(asked, store, progress, threads, peers):
            here["tasks"][1] = index
            store.write_card(card)
            clear()
    progress.ends()


@contextmanager
def _no_cycles_left() -> Iterator[Callable[[], object]]:
    """Give what clears the cycles that Lightning's trainers leave, with the rows and models of their fits.

    Else those of several tasks and runs add up until Python happens to look for cycles. What was there before is not
    looked at: a hundredth of a second in place of a quarter. At the end the system gets back what is free, so that the
    next run of the same process does not count it as its own.
    """
    gc.freeze()
    try:
        yield gc.collect
    finally:
        gc.collect()
        gc.unfreeze()
        if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc's
            trim(0)


def _is_done(asked: Experiment, store: RunStore) -> bool:
    """Whether nothing is left to do; then nothing is written either. Raises ConfigError for results on other data."""
    done = store.done()
    if not done:
        return False
    card = card_of(asked, asked.machine.threads(1))
    check_same_data(store.folder, store.card(), card, asked.stream)
    if done < card["tasks"]:
        return False
    store.check()
    if not store.has_config(asked.names.digest):  # the folder's name says that it is this configuration's
        store.write_config(asked.names.text, asked.names.digest)
    log.info("%s: all %d tasks are done", store.folder, card["tasks"])
    return True


def loop(asked: Experiment, store: RunStore, progress: Progress, threads: int, peers: Peers | None) -> Iterator[int]:
    """Do the tasks from the first unfinished one to the last; yields each when it is finished.

    `peers` do the same updates (engine/follower.py), and nothing else.
    """
    method, device, seed = asked.method(), asked.machine.device, asked.names.seed
    meters: list[Meter] = []
    makers = asked.schedule.tasks(asked.stream, lambda what, rows: meters[-1].on_read(what, rows))
    done = store.done()
    if done:
        store.check()
        method.load_state_dict(store.state(done - 1, device))
    if peers is not None:
        _check_divides(method, peers)
        peers.wait()
    for index, make_task in progress.over(list(enumerate(makers))[done:], len(makers)):
        meters.append(meter := Meter(device))
        task = make_task()
        foreseen = answers_to(method, task, task.first().items(), asked.evaluator, device)
        meter.begin()
        generator = seed_task(seed, index, device)
        shared = Pretrained(asked.pretrained, _identity(asked, task, threads), asked.settings.method, meter)
        fit = Fitter(device, generator, asked.machine.precision, shared, peers, asked.machine.graphs)
        if not task.period.empty:
            method.update(task, fit)
        meter.stop()
        if peers is not None:
            meter.cpu_seconds = float(peers.summed(torch.tensor(meter.cpu_seconds)))
        check_finite(method, task)
        answer = answered(method, task, asked.evaluator, device)
        rows, kept = [*foreseen.rows, *answer.rows], {**foreseen.kept, **answer.kept}
        losses = fit.losses.all()
        store.commit(_costs(index, meter, method), rows, kept, method.state_dict(), losses)
        progress.finished(task, rows, meter, losses)
        yield index


def _check_divides(method: RetrainMethod[Any], peers: Peers) -> None:
    """Raise ConfigError for a method that several processes would be idle with; one that fits says so in its fit."""
    if not method.trained_parameters():
        raise ConfigError(
            f"trainer.devices={peers.count}: {type(method).__name__} has no weights that processes could learn "
            "together; set trainer.devices=1"
        )


def _job(asked: Experiment, store: RunStore, threads: int) -> Job:
    return {
        "config": asked.names.text,
        "choices": asked.names.choices,
        "prepared": asked.stream.card["digest"],
        "folder": str(store.folder),
        "done": store.done(),
        "cuda": asked.machine.device.type == "cuda",
        "threads": threads,
    }


def answered(method: RetrainMethod[Any], task: Task, evaluator: Evaluator, device: torch.device) -> Answer:
    """Figures and answers of a task's tests and of earlier ones asked again, then the notes on its update.

    The method's random state does not depend on them.
    """
    found = answers_to(method, task, _asked(task), evaluator, device)
    notes = () if task.period.empty else method.notes()
    found.rows.extend(
        Row(task.index, task.period.index, UPDATE, "all", note.name, note.k, note.value, 0) for note in notes
    )
    return found


def answers_to(
    method: RetrainMethod[Any],
    task: Task,
    tests: Iterable[tuple[str, TestSet]],
    evaluator: Evaluator,
    device: torch.device,
) -> Answer:
    """Figures of tests by the method as it is, and the answers they are made of."""
    found = Answer([], {})
    for name, test in tests:
        answer = evaluator.answer(method, task.index, name, test, device)
        found.rows.extend(answer.rows)
        found.rows.extend(_about(method, task.index, name, test))
        found.kept.update(answer.kept)
    return found


def _about(method: RetrainMethod[Any], task: int, name: str, test: TestSet) -> Iterator[Row]:
    """Figures about a test, and about each group that is all of it, such as that of a downstream task."""
    groups = ["all", *(group for group, members in test.groups.items() if bool(members.all()))]
    for what, value in method.about(test).items():
        yield from (Row(task, test.period, name, group, what, 0, value, len(test)) for group in groups)


def _asked(task: Task) -> Iterator[tuple[str, TestSet]]:
    yield from task.tests().items()
    yield from ((AGAIN, test) for test in task.again())


def check_finite(method: RetrainMethod[Any], task: Task) -> None:
    """Raise Mistake for weights that are no numbers: they answer nothing, and the next period could not go on."""
    for name, weight in method.backbone.state_dict().items():
        if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
            raise Mistake(
                f"the weights ({name}) are not finite after period {task.period.name}; lower the learning rate or "
                "raise the regularisation of the method"
            )


def card_of(asked: Experiment, threads: int) -> RunCard:
    names, stream = asked.names, asked.stream
    roles = asked.schedule.roles(stream)
    return {
        "format": FORMAT,
        "method": names.choices["method"],
        "data": names.data,
        "backbone": names.choices["backbone"],
        "schedule": names.choices["schedule"],
        "eval": names.choices["eval"],
        "seed": names.seed,
        "digest": names.digest,
        "variant": names.variant,
        "overrides": list(names.overrides),
        "data_source": "synthetic" if stream.synthetic else "raw",
        "data_digest": stream.card["digest"],
        "lineage": lineage(stream.folder),
        "tasks": len(asked.schedule.tasks(stream, lambda what, rows: None)),
        "choosing": list(roles["choosing"]),
        "tested": list(roles["test"]),
        "asked": asked.evaluator.questions.card(),
        "versions": {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "device": str(asked.machine.device),
        "devices": asked.machine.devices,
        "threads": threads,
        "precision": asked.machine.precision,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _identity(asked: Experiment, task: Task, threads: int) -> dict[str, Any]:
    """All that decides pre-trained weights but the learner: see `Pretrained`."""
    machine = asked.machine
    together = [machine.devices] if machine.devices > 1 else []
    rounded = [machine.matmul] if machine.matmul != "highest" else []
    ordered = ["deterministic"] if machine.deterministic else []
    return {
        "data": asked.stream.card["digest"],
        "period": [task.index, task.period.index, task.period.name],
        "asked": asked.settings.questions,
        "backbone": [asked.settings.backbone, code_of(asked.settings.backbone)],
        "seed": asked.names.seed,
        "machine": [
            machine.device.type,
            machine.precision,
            threads,
            *together,
            *rounded,
            *ordered,
        ],
        "versions": {name: version(name) for name in ("recretrain", "torch")},
    }


def _costs(index: int, meter: Meter, method: RetrainMethod[Any]) -> Costs:
    return Costs(
        task=index,
        wall_seconds=round(meter.wall_seconds, 3),
        cpu_seconds=round(meter.cpu_seconds, 3),
        peak_memory_mb=round(meter.peak_memory_mb(), 1),
        rows_read=meter.rows_read,
        trained_parameters=method.trained_parameters(),
        state_bytes=0,  # known once it is written
    )
