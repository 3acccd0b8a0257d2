"""The loop, whole: learn a period, answer the next one's questions, commit; what is done is never done again."""

from __future__ import annotations

import logging
import os
import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import numpy.typing as npt
import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from recretrain.configuration.build import build
from recretrain.configuration.compose import digest, run_folder
from recretrain.data.schedule import Schedule, Task
from recretrain.data.stream import Stream
from recretrain.engine.costs import Meter
from recretrain.engine.fitter import Fitter
from recretrain.engine.seeds import BUILD, seed_task
from recretrain.engine.store import Costs, RunStore
from recretrain.errors import ConfigError
from recretrain.evaluation.evaluator import Evaluator, Row
from recretrain.methods.base import RetrainMethod
from recretrain.preparation.prepare import prepare

log = logging.getLogger("recretrain")

_OUTSIDE_LABEL = ("data=", "method=", "seed=", "paths.", "trainer.", "trainer=", "hydra", "logger")
_VERSIONS = ("recretrain", "torch", "pytorch-lightning", "numpy", "hydra-core")


def run(config: DictConfig, *, choices: Mapping[str, str], overrides: Sequence[str]) -> Path:
    """Do what is missing of the run that `config` describes; returns its folder."""
    store = RunStore(run_folder(config, choices))
    with store.locked():
        try:
            _run(config, choices, overrides, store)
        except BaseException:
            store.write_text("error.txt", traceback.format_exc())
            raise
        (store.folder / "error.txt").unlink(missing_ok=True)
    return store.folder


def _run(config: DictConfig, choices: Mapping[str, str], overrides: Sequence[str], store: RunStore) -> None:
    machine = Machine.of(config)
    schedule: Schedule = build(config.schedule, "schedule")
    evaluator: Evaluator = build(config.eval, "eval")
    stream = open_stream(config, evaluator)
    card = _card(config, choices, overrides, machine, stream, schedule)
    _check_same_data(store, card)
    store.write_text("config.yaml", OmegaConf.to_yaml(config, resolve=True))
    store.write_json("run.json", card)
    if store.done() >= card["tasks"]:
        log.info("%s: all %d tasks are done", store.folder, card["tasks"])
        return
    method = build_method(config, stream, machine)
    loop(method, schedule, stream, evaluator, store, machine, Progress(config, card))


def loop(
    method: RetrainMethod,
    schedule: Schedule,
    stream: Stream,
    evaluator: Evaluator,
    store: RunStore,
    machine: Machine,
    progress: Progress,
) -> None:
    """Tasks from the first unfinished one to the last."""
    meters: list[Meter] = []
    makers = schedule.tasks(stream, lambda what, rows: meters[-1].on_read(what, rows))
    done = store.done()
    if done:
        load_state(method, store.state(done - 1, machine.device))
    for index, make_task in progress.over(list(enumerate(makers))[done:], len(makers)):
        generator = seed_task(machine.seed, index, machine.device)
        meters.append(Meter(machine.device))
        task = make_task()
        method.update(task, Fitter(machine.device, generator, machine.precision))
        meters[-1].stop()
        rows, ranks = answer(method, task, evaluator, machine.device)
        store.commit(_costs(index, meters[-1], method), rows, ranks, state_of(method))
        progress.tell(task, rows, meters[-1])


def answer(
    method: RetrainMethod, task: Task, evaluator: Evaluator, device: torch.device
) -> tuple[list[Row], dict[str, npt.NDArray[Any]]]:
    """Figures and ranks of a task's tests; the method's random state does not depend on it."""
    rows: list[Row] = []
    ranks: dict[str, npt.NDArray[Any]] = {}
    for name, test in task.tests().items():
        figures, kept = evaluator.answer(method, task.index, name, test, device)
        rows.extend(figures)
        ranks.update(kept)
    return rows, ranks


def state_of(method: RetrainMethod) -> dict[str, Any]:
    return {"backbone": method.backbone.state_dict(), "method": method.extra_state()}


def load_state(method: RetrainMethod, state: Mapping[str, Any]) -> None:
    method.backbone.load_state_dict(state["backbone"])
    method.load_extra_state(state["method"])


@dataclass(frozen=True)
class Machine:
    """Where a run happens; nothing of it is part of the run's digest but the seed."""

    device: torch.device
    threads: int
    precision: str
    seed: int

    @classmethod
    def of(cls, config: DictConfig) -> Machine:
        device = _device(config.trainer.device)
        threads = config.trainer.threads or max(1, (os.cpu_count() or 1) // int(os.environ.get("RECRETRAIN_JOBS", "1")))
        torch.set_num_threads(threads)
        return cls(device, threads, str(config.trainer.get("precision", "32-true")), config.seed)


class Progress:
    """A bar over the tasks and one line for each."""

    def __init__(self, config: DictConfig, card: Mapping[str, Any]) -> None:
        # bars of parallel jobs would overwrite each other; their lines do not
        self._shown = bool(config.trainer.progress) and os.environ.get("RECRETRAIN_JOBS", "1") == "1"
        self._title = f"{card['method']} on {card['data']}" + (
            " (synthetic)" if card["data_source"] == "synthetic" else ""
        )
        self._logger = instantiate(config.logger) if config.logger else None

    def over(self, tasks: list[tuple[int, Callable[[], Task]]], total: int) -> Any:
        with ExitStack() as stack:
            if self._shown:
                stack.enter_context(logging_redirect_tqdm())
            bar = tqdm(
                tasks, desc=self._title, initial=total - len(tasks), total=total, unit="task", disable=not self._shown
            )
            yield from bar

    def tell(self, task: Task, rows: list[Row], meter: Meter) -> None:
        log.info(
            "%s · learned period %s · %s · %.1f s, %d rows read",
            *(self._title, task.period.name, _summary(rows), meter.wall_seconds, meter.rows_read),
        )
        if self._logger is not None and rows:
            figures = {f"{row.test}/{row.group}/{row.metric}@{row.k}": row.value for row in rows}
            self._logger.log_metrics(figures, step=rows[0].period)
            self._logger.save()


def _summary(rows: list[Row]) -> str:
    if not rows:
        return "no questions"
    figures = [row for row in rows if row.group == "all"]
    longest = max(row.k for row in figures)
    shown = ", ".join(f"{row.metric}@{row.k} {row.value:.4f}" for row in figures if row.k == longest)
    return f"answered {rows[0].period} ({rows[0].test}, n={figures[0].n}): {shown}"


def open_stream(config: DictConfig, evaluator: Evaluator) -> Stream:
    """Prepare what is missing, and open it."""
    source = build(config.data, "data")
    folder = prepare(source, data_root=Path(config.paths.data), cache=Path(config.paths.cache))
    return Stream(folder, evaluator.asked)


def build_method(config: DictConfig, stream: Stream, machine: Machine) -> RetrainMethod:
    """Backbone and method with their first weights, on the machine's device."""
    seed_task(machine.seed, BUILD, machine.device)
    backbone = build(config.backbone, "backbone", **given(stream)).to(machine.device)
    _check_backbone(config, backbone)
    method = build(config.method, "method", backbone=backbone)
    if not isinstance(method, RetrainMethod):
        raise ConfigError(f"method._target_={config.method._target_} is not a RetrainMethod; derive it from that class")
    return method


def given(stream: Stream) -> dict[str, Any]:
    """The arguments of a backbone's constructor that conf/ does not have."""
    return {"vocabulary": stream.vocabulary}


def _check_backbone(config: DictConfig, backbone: Any) -> None:
    """A method says by the type of its `backbone` which ones it can train."""
    target: Any = get_class(config.method._target_)
    wanted = get_type_hints(target.__init__).get("backbone", object)
    if not isinstance(backbone, wanted):
        raise ConfigError(
            f"{target.__name__} trains a backbone of kind {wanted.__name__}, not {type(backbone).__name__}; "
            "leave `backbone=` out or give another"
        )


def _card(
    config: DictConfig,
    choices: Mapping[str, str],
    overrides: Sequence[str],
    machine: Machine,
    stream: Stream,
    schedule: Schedule,
) -> dict[str, Any]:
    roles = schedule.roles(stream)
    return {
        "format": 1,
        "method": choices["method"],
        "data": stream.name if choices["data"] == "table" else choices["data"],
        "backbone": choices["backbone"],
        "schedule": choices["schedule"],
        "eval": choices["eval"],
        "seed": config.seed,
        "digest": digest(config),
        "variant": digest(config, with_seed=False),
        "overrides": [word for word in overrides if not word.lstrip("+~").startswith(_OUTSIDE_LABEL)],
        "data_source": "synthetic" if stream.synthetic else "raw",
        "data_digest": stream.card["digest"],
        "tasks": len(schedule.tasks(stream, lambda what, rows: None)),
        "choosing": list(roles["choosing"]),
        "tested": list(roles["test"]),
        "versions": {
            name: version(name) for name in ("recretrain", "torch", "pytorch-lightning", "numpy", "hydra-core")
        }
        | {"python": platform.python_version()},
        "device": str(machine.device),
        "threads": machine.threads,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _check_same_data(store: RunStore, card: Mapping[str, Any]) -> None:
    before = store.read_json("run.json")
    if before is None or not store.done():
        return
    if before["data_digest"] != card["data_digest"]:
        raise ConfigError(
            f"{store.folder} holds results on other data ({before['data_source']} {before['data_digest']}, now "
            f"{card['data_source']} {card['data_digest']}); delete that folder, or set another paths.outputs"
        )


def _costs(index: int, meter: Meter, method: RetrainMethod) -> Costs:
    return Costs(
        task=index,
        wall_seconds=round(meter.wall_seconds, 3),
        cpu_seconds=round(meter.cpu_seconds, 3),
        peak_memory_mb=round(meter.peak_memory_mb(), 1),
        rows_read=meter.rows_read,
        trained_parameters=method.trained_parameters(),
        state_bytes=0,  # known once it is written
    )


def _device(name: str) -> torch.device:
    """The torch device of trainer.device; a GPU with its index, without which Lightning refuses it."""
    if name not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"trainer.device={name}: give auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("trainer.device=cuda, but torch sees no CUDA device; use trainer.device=auto or cpu")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())
