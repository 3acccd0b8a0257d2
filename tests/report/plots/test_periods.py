"""Curves over the periods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recretrain.errors import ReportError
from recretrain.report import plot

if TYPE_CHECKING:
    from tests.report.folders import RunFolders


def test_a_plot_is_drawn_as_png_and_svg_for_each_set_of_comparable_runs(runs: RunFolders, tmp_path: Path) -> None:
    for seed in (0, 1):
        runs.add("sml", {"recall@20": {33: (0.1, 1), 34: (0.2 + seed / 10, 1)}}, seed=seed)
    runs.add("fine_tune", {"recall@20": {33: (0.2, 1), 34: (0.1, 1)}})
    runs.add("sml", {"recall@20": {33: (0.1, 1)}}, data_source="synthetic", digest="s")

    paths = plot(runs.outputs, into=tmp_path / "plots")

    assert sorted(path.suffix for path in paths) == [".png", ".png", ".svg", ".svg"]
    assert all(path.stat().st_size > 1000 for path in paths)
    assert sum("synthetic" in path.name for path in paths) == 2
    assert paths[0].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("metric", "first", "second"), [("mae", "low", "high"), ("recall@20", "high", "low")])
def test_the_best_comes_first_also_where_lower_is_better(
    runs: RunFolders, tmp_path: Path, metric: str, first: str, second: str
) -> None:
    for method, value in (("high", 0.9), ("low", 0.1)):
        runs.add(method, {metric: {33: (value, 1), 34: (value, 1)}})

    paths = plot(runs.outputs, into=tmp_path / "plots", metric=metric)

    (svg,) = [path.read_text() for path in paths if path.suffix == ".svg"]
    assert svg.index(f"<!-- {first} -->") < svg.index(f"<!-- {second} -->")


def test_a_metric_nobody_measured_is_refused(runs: RunFolders, tmp_path: Path) -> None:
    runs.add("sml", {"recall@20": {33: (0.1, 1)}})

    with pytest.raises(ReportError, match="measured: recall@20"):
        plot(runs.outputs, into=tmp_path, metric="ndcg@20")


def test_no_runs_no_plots(runs: RunFolders, tmp_path: Path) -> None:
    assert plot(runs.outputs, into=tmp_path) == []
