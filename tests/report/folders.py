"""Run folders made by hand: small enough that every figure of a table can be computed on paper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Figures = Mapping[int, tuple[float, int]]  # period -> (value, number of questions)

SAMPLED = {
    "kind": "interactions",
    "text": "1 + 999 candidates",
    "unit": "questions",
    "catalogue": "sampled",
    "candidates": 999,
    "seed": 0,
}
FULL = {"kind": "interactions", "text": "whole catalogue", "unit": "questions", "catalogue": "full"}
PREFIXES = {**FULL, "kind": "prefixes", "unit": "questions (prefixes of sessions)"}
EPISODES = {
    "kind": "episodes",
    "text": "10 of 13-100 ratings of users, split random",
    "unit": "questions (users)",
    "shortest": 13,
    "longest": 100,
    "queries": 10,
    "split": "random",
    "users": "all",
    "seed": 0,
}
RATINGS = {"kind": "ratings", "text": "every rating", "unit": "ratings"}

CARD = {
    "format": 2,
    "data": "yelp",
    "backbone": "mf",
    "schedule": "next_period",
    "eval": "sampled",
    "seed": 0,
    "overrides": [],
    "data_source": "raw",
    "data_digest": "d",
    "choosing": (30, 31, 32),
    "tested": tuple(range(33, 40)),
    "asked": SAMPLED,
    "versions": {},
    "device": "cpu",
    "threads": 1,
    "precision": "32",
    "started": "2024-01-01",
}
COST = {
    "wall_seconds": 2.0,
    "cpu_seconds": 1.0,
    "peak_memory_mb": 100.0,
    "rows_read": 10,
    "trained_parameters": 7,
    "state_bytes": 1,
}


@dataclass(frozen=True)
class RunFolders:
    outputs: Path

    def add(
        self,
        method: str,
        figures: Mapping[str, Figures],  # column such as recall@20 -> its figures
        *,
        groups: Mapping[str, Mapping[str, Figures]] | None = None,
        settings: Mapping[str, object] | None = None,  # of the method, by dotted keys
        config: Mapping[str, object] | None = None,  # all else, by dotted keys
        cpu: Mapping[int, float] | None = None,  # period -> seconds
        more_rows: Sequence[tuple[int, int, str, str, str, float, int]] = (),  # task, period, test, group, column, ...
        ranks: Mapping[str, Sequence[Any]] | None = None,  # arrays of ranks.npz, of all tasks; ranks not yet doubled
        **card: Any,
    ) -> Path:
        """A run whose task t answers the t-th period of `figures`; `tasks` more than those makes it unfinished."""
        periods = sorted({period for of_period in figures.values() for period in of_period})
        facts = {**CARD, "method": method, "tasks": len(periods), **card}
        facts.setdefault("variant", f"{method}{''.join(facts['overrides'])}{list((settings or {}).values())}")
        facts.setdefault("digest", json.dumps(facts))
        count = len(list(self.outputs.rglob("run.json")))
        folder = self.outputs / facts["data"] / method / f"seed={facts['seed']}-{count}"
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(json.dumps({"method": _nested(settings or {}), **_nested(config or {})}))
        (folder / "run.json").write_text(json.dumps(facts))
        for task, period in enumerate(periods):
            path = folder / "tasks" / str(task)
            path.mkdir(parents=True)
            test = "choosing" if period in facts["choosing"] else "test"
            lines = ["task,period,test,group,metric,k,value,n"]
            for group, columns in {"all": figures, **(groups or {})}.items():
                for column, of_period in columns.items():
                    if period in of_period:
                        metric, _, k = column.partition("@")
                        value, n = of_period[period]
                        lines.append(f'{task},{period},{test},"{group}",{metric},{k or 0},{value},{n}')
            for of_task, period_, test_, group, column, value, n in more_rows:
                if of_task == task:
                    metric, _, k = column.partition("@")
                    lines.append(f'{task},{period_},{test_},"{group}",{metric},{k or 0},{value},{n}')
            (path / "rows.csv").write_text("\n".join(lines) + "\n")
            cost = {"task": task, **COST, **({"cpu_seconds": cpu[period]} if cpu else {})}
            (path / "costs.csv").write_text(",".join(cost) + "\n" + ",".join(map(str, cost.values())) + "\n")
            kept = {key: _stored(key, value) for key, value in (ranks or {}).items() if key.startswith(f"{period}_")}
            if kept:
                np.savez(path / "ranks.npz", **kept)
        return folder


def _nested(settings: Mapping[str, object]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in settings.items():
        *path, name = key.split(".")
        inner = nested
        for part in path:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return nested


def _stored(key: str, value: Sequence[Any]) -> np.ndarray:
    """Ranks are stored doubled, masks, ratings and users as they are."""
    if ":" in key:
        return np.array(value, dtype=bool)
    if key.endswith(("_predicted", "_rated")):
        return np.array(value, dtype=np.float32)
    if key.endswith("_user"):
        return np.array(value, dtype=np.int32)
    return (2 * np.array(value)).astype(np.int32)
