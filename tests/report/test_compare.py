"""Two methods compared question by question."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from recretrain.errors import ReportError
from recretrain.report import compare, render
from recretrain.report.rows import Run, read_runs

if TYPE_CHECKING:
    from tests.report.conftest import RunFolders

FIGURES = {"recall@1": {33: (0.5, 4), 34: (0.5, 2)}}
MINE = {"33": [0, 0, 0, 5], "34": [0, 2.5], "33_new_user": [1, 0, 0, 1], "34_new_user": [0, 0]}
THEIRS = {"33": [1, 1, 0, 5], "34": [2, 0], "33_new_user": [1, 0, 0, 1], "34_new_user": [0, 0]}


def two(runs: RunFolders, tested: tuple[int, ...] = (33, 34)) -> tuple[list[Run], list[Run]]:
    runs.add("sml", FIGURES, ranks=MINE, tested=tested)
    runs.add("spmf", FIGURES, ranks=THEIRS, tested=tested)
    found = read_runs(runs.outputs)
    return [run for run in found if run.method == "sml"], [run for run in found if run.method == "spmf"]


def test_the_difference_is_the_mean_over_questions(runs: RunFolders) -> None:
    mine, theirs = two(runs)

    recall, ndcg = compare.paired(mine, theirs, ["recall@1", "ndcg@5"], "test", "all")

    assert recall.questions == 6
    assert recall.mean == pytest.approx((1 + 1 + 0 + 0 + 1 - 1) / 6)
    gain = 1 / np.log2(np.arange(2, 10))  # by whole rank
    expected = 2 * (gain[0] - gain[1]) + (gain[0] - gain[2]) + (1 / np.log2(4.5) - gain[0])
    assert ndcg.mean == pytest.approx(expected / 6)


def test_a_group_compares_its_questions_only(runs: RunFolders) -> None:
    mine, theirs = two(runs)

    (found,) = compare.paired(mine, theirs, ["recall@1"], "test", "new_user")

    assert (found.questions, found.mean) == (2, 0.5)  # the first and the last question of period 33


def test_the_p_value_is_the_share_of_sign_flips_as_far_from_zero() -> None:
    differences = np.array([0.5, 0.25, 0.25, -0.1, 0.0])
    flips = np.array(list(product([1, -1], repeat=5)))
    exact = np.mean(np.abs(flips @ differences) >= abs(differences.sum()) - 1e-9)

    assert compare.sign_flip(differences) == pytest.approx(exact, abs=0.02)
    assert compare.sign_flip(-differences) == compare.sign_flip(differences)


def test_a_clear_difference_is_significant_and_none_is_not() -> None:
    generator = np.random.default_rng(1)
    noise = generator.normal(size=400)

    assert compare.sign_flip(noise + 0.5) == pytest.approx(1 / (compare.FLIPS + 1))
    assert compare.sign_flip(noise - noise.mean()) > 0.9
    assert compare.sign_flip(np.zeros(5)) == 1


def test_seeds_are_averaged_question_by_question(runs: RunFolders) -> None:
    figures = {"recall@1": {33: (0.5, 2)}}
    for seed, ranks in enumerate([[0, 0], [0, 1]]):
        runs.add("sml", figures, seed=seed, ranks={"33": ranks}, tested=[33])
        runs.add("spmf", figures, seed=seed, ranks={"33": [1, 1]}, tested=[33])
    runs.add("sml", figures, seed=7, ranks={"33": [1, 1]}, tested=[33])  # spmf has no such seed
    found = read_runs(runs.outputs)

    (difference,) = compare.paired(
        [run for run in found if run.method == "sml"],
        [run for run in found if run.method == "spmf"],
        ["recall@1"],
        "test",
        "all",
    )

    assert (difference.questions, difference.mean) == (2, 0.75)


def test_what_cannot_be_paired_is_refused(runs: RunFolders) -> None:
    mine, theirs = two(runs, tested=(33, 34, 35))

    with pytest.raises(ReportError, match=r"has no ranks of periods \[35\]"):
        compare.paired(mine, theirs, ["recall@1"], "test", "all")
    runs.add("spmf", FIGURES, ranks=THEIRS, seed=1)
    (other,) = read_runs(runs.outputs, {"seed": "1"})
    with pytest.raises(ReportError, match="have no seed in common"):
        compare.paired(mine, [other], ["recall@1"], "test", "all")


def test_the_report_shows_difference_and_p_value_on_request(runs: RunFolders, conf_dir: Path) -> None:
    two(runs)

    text = render(runs.outputs, conf_dir=conf_dir, compare="sml", columns=["recall"])

    assert "yelp: difference to sml, question by question" in text
    row = next(line for line in text[text.index("question by question") :].splitlines() if line.startswith("spmf"))
    assert row.split()[1] == "-0.3333"
    assert row.split()[2].startswith("(p=0.")
    with pytest.raises(ReportError, match="no finished run of 'ader' to compare with; there are: sml, spmf"):
        render(runs.outputs, conf_dir=conf_dir, compare="ader")


def test_metrics_from_ranks_are_those_of_the_evaluator() -> None:
    torch = pytest.importorskip("torch")
    from recretrain.evaluation.metrics import METRICS

    ranks = np.arange(0, 12, 0.5)

    assert METRICS.keys() == compare.GAINS.keys()
    for name, metric in METRICS.items():
        ours = compare.values(ranks, f"{name}@5")
        np.testing.assert_allclose(ours, metric(torch.as_tensor(ranks), 5).numpy(), rtol=1e-12)
