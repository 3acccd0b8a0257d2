"""CATN on real reviews: level with the biases that it begins with, and as released worse than the mean of all."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

REAL = Path(os.environ.get("RECRETRAIN_DATA", "nowhere")).absolute()
FILE = REAL / "amazon/reviews_Musical_Instruments_5.json.gz"
NETWORK = (  # a tenth of the paper's, three epochs
    "backbone.words=frozen",
    "backbone.style.longest=60",
    "backbone.style.filters=8",
    "backbone.style.aspects=3",
    "backbone.style.aspect_size=8",
    "method.learner.batch_size=128",
    "method.learner.stopping.epochs=3",
    "method.learner.stopping.least_steps=0",
    "method.learner.stopping.patience_steps=0",
)
MASKED = "backbone.style.pad_softmax=masked"
RUNS: Mapping[str, tuple[str, ...]] = {
    "global_mean": ("method=global_mean",),
    "item_mean": ("method=item_mean", "method.item_shrinkage=5"),
    "raw_mean": ("method=item_mean", "method.item_shrinkage=0"),
    "mapped_biases": ("method=mapped_biases",),
    "catn": ("method=catn", MASKED, *NETWORK),
    "catn_bias": ("method=catn_bias", MASKED, *NETWORK),
    "catn_released": ("method=catn_released", *NETWORK),
}


@pytest.mark.skipif(not FILE.is_file(), reason="RECRETRAIN_DATA holds no amazon/reviews_Musical_Instruments_5.json.gz")
def test_the_start_of_catn_decides(recretrain: Callable[..., Any], tmp_path: Path) -> None:
    error = {}
    for name, choices in RUNS.items():
        outputs = tmp_path / name
        places = f"paths.data={REAL}", f"paths.outputs={outputs}"
        run = recretrain("run", "data=amazon_clustered", *choices, *places, "trainer.threads=1")
        assert run.code == 0, run.err
        error[name] = mse(outputs)

    assert error["raw_mean"] > error["global_mean"] > error["item_mean"] > error["mapped_biases"]
    assert error["catn"] <= error["item_mean"] + 0.005
    assert error["catn_bias"] <= error["mapped_biases"] + 0.005
    assert error["catn_released"] > error["global_mean"], "random biases of cold users and raw means (catn.md, T1, T7)"


def mse(outputs: Path) -> float:
    """Of all test ratings of the only run."""
    (rows,) = outputs.rglob("rows.csv")
    with rows.open() as file:
        found = [
            row for row in csv.DictReader(file) if (row["test"], row["group"], row["metric"]) == ("test", "all", "mse")
        ]
    (one,) = found
    return float(one["value"])
