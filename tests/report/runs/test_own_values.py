"""The values of a metric of one's own are kept with the answers, so that it is compared as any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.report import render
from recretrain.report.runs.answers import answers, kept_values
from recretrain.report.runs.reading import read_runs
from recretrain.report.runs.verify import verify
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

ROOT = Path(__file__).parents[3]


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "closeness.py").write_text("def closeness(rank, k):\n    return (rank < k) * (1 - rank / k)\n")
    monkeypatch.syspath_prepend(tmp_path)
    ((users, items),) = tasteful_slices(1, 700, n_users=30, n_items=60)
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    (tmp_path / "clicks.csv").write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    paths = [f"data.path={tmp_path}/clicks.csv", f"paths.outputs={tmp_path}/out", f"paths.cache={tmp_path}/cache"]
    own = "eval.metrics=[recall,{_target_:closeness.closeness,_partial_:true}]"
    for method in ("popularity", "recent"):
        words = [*TINY, *paths, f"method={method}", own, "eval.ks=[2,5]"]
        config, choices = compose(words)
        run(config, choices=choices, overrides=words)
    return tmp_path / "out"


def test_a_metric_of_one_s_own_is_compared_question_by_question(outputs: Path):
    text = render(outputs, conf_dir=ROOT / "conf", compare="popularity")

    difference = text.partition("difference to popularity")[2]
    assert "closeness@5" in difference
    assert "Not compared" not in difference


def test_its_values_are_those_of_its_figures_in_groups_too(outputs: Path):
    for read in read_runs(outputs):
        assert kept_values(read) == {"closeness@2", "closeness@5"}
        for group in ("all", "again", "first_time"):
            rows = read.rows[
                (read.rows["metric"] == "closeness") & (read.rows["k"] == 5) & (read.rows["test"] == "test")
            ]
            rows = rows[rows["group"] == group]
            found = answers(read, ["closeness@5"], "test", group)[0]
            assert float((rows["value"] * rows["n"]).sum() / rows["n"].sum()) == pytest.approx(float(np.mean(found)))
            assert len(found) == int(rows["n"].sum())
    assert verify(outputs).faults == []
