"""Published figures for runs that were chosen elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recretrain.report.papers.material import published
from recretrain.report.runs.reading import read_runs
from tests.report.papers.test_ader import add_ader
from tests.report.papers.test_published import YELP

if TYPE_CHECKING:
    from tests.report.folders import RunFolders


def test_methods_have_the_figures_of_their_rows_and_the_source(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", YELP, overrides=["method.loops=2"])
    runs.add("popularity", YELP)

    found, sources = published(read_runs(runs.outputs), conf_dir)

    assert found["sml"]["recall@20"].value == 0.4748
    assert found.keys() == {"sml"}
    assert [source.endswith("SIGIR 2020, Table 1 (read in the paper).") for source in sources] == [True]


def test_percents_become_shares(runs: RunFolders, conf_dir: Path) -> None:
    add_ader(runs, 0.5)

    found, _ = published(read_runs(runs.outputs), conf_dir)

    assert found["ader"]["recall@20"].value == pytest.approx(0.5021)


def test_why_there_is_none_is_told(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", YELP, data_source="synthetic")

    why = "Synthetic data: no published figure stands beside it."
    assert published(read_runs(runs.outputs), conf_dir) == ({}, [why])
