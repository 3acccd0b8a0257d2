"""The records of a run folder, typed once for those who write them and those who read them (docs/contracts.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

FORMAT = 2  # of run.json, rows.csv, costs.csv and ranks.npz

AGAIN = "again"  # in place of a test: questions of an earlier task, answered once more
UPDATE = "update"  # in place of a test: not asked at all, a note on what was learned

OUTSIDE_DIGEST = (  # keys of the configuration that say where, how fast and how far, and never change a result
    "hydra",
    "paths",
    "logger",
    "trainer.device",
    "trainer.threads",
    "trainer.progress",
    "schedule.last_test",
    "data.about",
    "data.path",  # what lies there counts: a run never goes on with other data
    "search",
    "floor",
)
ONCE_IN_DIGEST = ("data.path",)  # of OUTSIDE_DIGEST: run folders from before are known by their former name


LATER: Mapping[str, Any] = {  # keys that came later, and the value of each under which all is as it was before
    "data.where": None,
    "data.facts": {"user": None, "item": None},
    "data.filters.nulls": "error",
    "data.cut.empty": "error",
    "data.cut.open": "keep",
    "data.cut.since": None,
    "eval.questions.had": "left_out",
    "schedule.again": 0,
    "trainer.devices": 1,
    "trainer.matmul": "highest",
    "trainer.deterministic": False,
    "trainer.graphs": False,
    "method.learner.loss": "log",
    "method.learner.optimizer": "dense",
    "method.pretraining.loss": "log",
    "method.pretraining.optimizer": "dense",
    "eval.questions.draws": "stored",
    "method.transfer.network.bound": 2.0,
}


def changes_nothing(key: str, value: Any) -> bool:
    """Whether a key came later and has the value that stays out of the digests of runs and of prepared data."""
    return key in LATER and bool(LATER[key] == value)


ROWS = "rows.csv"
COPY = "rows.csv.gz"  # of which damaged rows are written anew


@dataclass(frozen=True)
class Row:
    """One figure of a task: the mean of a metric over the questions of a group."""

    task: int
    period: int
    test: str  # choosing | test | again | update
    group: str  # all, new_user, new_item, the name of a state or task, ...
    metric: str
    k: int  # 0 for metrics without a cut-off
    value: float
    n: int  # questions; 0 of an update


@dataclass(frozen=True)
class Costs:
    """The cost of one task: of its update, not of its evaluation (peak memory: of both)."""

    task: int
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    rows_read: int  # distinct rows of the stream the update looked at
    trained_parameters: int
    state_bytes: int


@dataclass(frozen=True)
class Loss:
    """An epoch of a fit of a task's update."""

    fit: int  # counted from 0
    objective: str  # the name of its class
    epoch: int  # of the fit, counted from 1
    loss: float  # the mean over its batches, as they were learned
    held_out: float | None  # what decides when to stop, measured after the epoch; None where nothing is held out


class Process(TypedDict):
    """A process that finished tasks of a run: where and how."""

    tasks: list[int]  # the first and the last
    versions: dict[str, str]
    device: str
    devices: NotRequired[int]  # processes that learned together; one where it is not said
    threads: int  # of each
    precision: str
    started: str


class _Later(TypedDict, total=False):
    """What runs of the same format do not have if they were begun before it was known."""

    lineage: list[str]  # of the data, a digest a period (data/lineage.py)
    devices: int  # processes that learn together, each with `threads`
    processes: list[Process]  # in order; `versions`, `device`, ... of the card are those of the first


class RunCard(_Later):
    """run.json: what the run is, before anything was measured."""

    format: int
    method: str
    data: str
    backbone: str
    schedule: str
    eval: str
    seed: int
    digest: str  # of the configuration, without OUTSIDE_DIGEST
    variant: str  # the same without the seed
    overrides: list[str]
    data_source: str  # raw | synthetic
    data_digest: str
    tasks: int
    choosing: list[int]  # periods whose questions only choose hyper-parameters
    tested: list[int]
    asked: Mapping[str, Any]  # the card of the questions: runs may be compared if and only if theirs are equal
    versions: dict[str, str]
    device: str
    threads: int
    precision: str
    started: str


def ranks_key(period: int, test: str, what: str = "") -> str:
    """The name of an array of ranks.npz: `33_test`, `33_test_predicted`, `33_test:new_user` (what=":new_user")."""
    return f"{period}_{test}{what}"


def values_key(metric: str, k: int) -> str:
    """The end of a `ranks_key` for the values of a metric of one's own, kept as no report can make them again."""
    return f"={metric}@{k}" if k else f"={metric}"
