"""Run folders made by hand: small enough that every figure of a table can be computed on paper."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

Figures = Mapping[int, tuple[float, int]]  # period -> (value, number of questions)

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
        seed: int = 0,
        data: str = "yelp",
        source: str = "raw",
        digest: str = "d",
        variant: str = "",
        overrides: Sequence[str] = (),
        schedule: str = "next_period",
        choosing: Sequence[int] = (30, 31, 32),
        tested: Sequence[int] = tuple(range(33, 40)),
        candidates: int | None = 999,
        catalogue: str = "sampled",
        questions: str | None = None,
        history: int | None = None,
        episodes: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
        groups: Mapping[str, Mapping[str, Figures]] | None = None,
        cpu: Mapping[int, float] | None = None,
        ranks: Mapping[str, Sequence[float]] | None = None,
        tasks: int | None = None,
    ) -> Path:
        """A run whose task t answers the t-th period of `figures`; `tasks` more than those makes it unfinished."""
        variant = variant or f"{method}{''.join(overrides)}{''.join(map(str, (settings or {}).values()))}"
        periods = sorted({period for of_period in figures.values() for period in of_period})
        folder = self.outputs / data / method / f"seed={seed}-{variant}-{digest}"
        folder.mkdir(parents=True)
        evaluation = {"candidates": candidates, "catalogue": catalogue, "seed": 0, "ks": [20]}
        evaluation |= {"questions": questions, "history": history} if questions else {}  # older runs say neither
        evaluation |= episodes or {}
        (folder / "config.yaml").write_text(json.dumps({"eval": evaluation, "method": settings or {}}))
        facts = {
            "format": 1,
            "method": method,
            "data": data,
            "backbone": "mf",
            "schedule": schedule,
            "eval": catalogue,
            "seed": seed,
            "digest": f"{data}{variant}{seed}{digest}{source}{candidates}{tested}",
            "variant": variant,
            "overrides": list(overrides),
            "data_source": source,
            "data_digest": digest,
            "tasks": len(periods) if tasks is None else tasks,
            "choosing": list(choosing),
            "tested": list(tested),
        }
        (folder / "run.json").write_text(json.dumps(facts))
        for task, period in enumerate(periods):
            path = folder / "tasks" / str(task)
            path.mkdir(parents=True)
            test = "choosing" if period in choosing else "test"
            lines = ["task,period,test,group,metric,k,value,n"]
            for group, columns in {"all": figures, **(groups or {})}.items():
                for column, of_period in columns.items():
                    if period in of_period:
                        metric, k = column.split("@")
                        value, n = of_period[period]
                        lines.append(f'{task},{period},{test},"{group}",{metric},{k},{value},{n}')
            (path / "rows.csv").write_text("\n".join(lines) + "\n")
            cost = {"task": task, **COST, **({"cpu_seconds": cpu[period]} if cpu else {})}
            (path / "costs.csv").write_text(",".join(cost) + "\n" + ",".join(map(str, cost.values())) + "\n")
            kept = {key: value for key, value in (ranks or {}).items() if key.split("_")[0] == str(period)}
            if kept:
                np.savez(path / "ranks.npz", **{key: _stored(key, value) for key, value in kept.items()})
        return folder


def _stored(key: str, value: Sequence[float]) -> np.ndarray:
    """Ranks are stored doubled, masks as they are."""
    return np.array(value, dtype=bool) if "_" in key else (2 * np.array(value)).astype(np.int32)


@pytest.fixture
def runs(tmp_path: Path) -> RunFolders:
    return RunFolders(tmp_path / "outputs")


@pytest.fixture
def conf_dir() -> Path:
    return Path(__file__).parents[2] / "conf"
