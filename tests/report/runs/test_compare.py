"""Two methods compared question by question."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from recretrain.errors import ReportError
from recretrain.report import render
from recretrain.report.runs import compare
from recretrain.report.runs.reading import read_runs
from recretrain.report.runs.run import Run
from tests.report.folders import RATINGS

if TYPE_CHECKING:
    from tests.report.folders import RunFolders

FIGURES = {"recall@1": {33: (0.5, 4), 34: (0.5, 2)}}
NEW_USERS = {"33_test:new_user": [1, 0, 0, 1], "34_test:new_user": [0, 0]}
OURS = {"33_test": [0, 0, 0, 5], "34_test": [0, 2.5], **NEW_USERS}
THEIRS = {"33_test": [1, 1, 0, 5], "34_test": [2, 0], **NEW_USERS}


def two(runs: RunFolders, tested: tuple[int, ...] = (33, 34)) -> tuple[list[Run], list[Run]]:
    runs.add("sml", FIGURES, ranks=OURS, tested=tested)
    runs.add("spmf", FIGURES, ranks=THEIRS, tested=tested)
    found = read_runs(runs.outputs)
    return [run for run in found if run.method == "sml"], [run for run in found if run.method == "spmf"]


def test_the_difference_is_the_mean_over_questions(runs: RunFolders) -> None:
    ours, theirs = two(runs)

    recall, ndcg = compare.paired(ours, theirs, ["recall@1", "ndcg@5"], "test", "all")

    assert recall.questions == 6
    assert recall.mean == pytest.approx((1 + 1 + 0 + 0 + 1 - 1) / 6)
    gain = 1 / np.log2(np.arange(2, 10))  # by whole rank
    expected = 2 * (gain[0] - gain[1]) + (gain[0] - gain[2]) + (1 / np.log2(4.5) - gain[0])
    assert ndcg.mean == pytest.approx(expected / 6)


def test_a_group_compares_its_questions_only(runs: RunFolders) -> None:
    ours, theirs = two(runs)

    (found,) = compare.paired(ours, theirs, ["recall@1"], "test", "new_user")

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
        runs.add("sml", figures, seed=seed, ranks={"33_test": ranks}, tested=[33])
        runs.add("spmf", figures, seed=seed, ranks={"33_test": [1, 1]}, tested=[33])
    runs.add("sml", figures, seed=7, ranks={"33_test": [1, 1]}, tested=[33])  # spmf has no such seed
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
    ours, theirs = two(runs, tested=(33, 34, 35))

    with pytest.raises(ReportError, match=r"has no ranks or ratings of periods \[35\]"):
        compare.paired(ours, theirs, ["recall@1"], "test", "all")
    runs.add("spmf", FIGURES, ranks=THEIRS, seed=1)
    (other,) = read_runs(runs.outputs, {"seed": "1"})
    with pytest.raises(ReportError, match="have no seed in common"):
        compare.paired(ours, [other], ["recall@1"], "test", "all")


def test_the_report_shows_difference_and_p_value_on_request(runs: RunFolders, conf_dir: Path) -> None:
    two(runs)

    text = render(runs.outputs, conf_dir=conf_dir, compare="sml")

    assert "yelp: difference to sml, question by question" in text
    row = next(line for line in text[text.index("question by question") :].splitlines() if line.startswith("spmf"))
    mean, low, high, p = row.split()[1:]
    assert (mean, low[:2], high[0], p[:5]) == ("-0.3333", "[-", "+", "(p=0.")
    with pytest.raises(ReportError, match="no finished run of 'ader' to compare with; there are: sml, spmf"):
        render(runs.outputs, conf_dir=conf_dir, compare="ader")


EPISODES = {"33_test_rated": [[5, 3], [4, 2], [1, 5]], "33_test:new_user": [0, 1, 1]}
GOOD = {**EPISODES, "33_test_predicted": [[5, 3], [4, 3], [2, 4]]}  # absolute errors 0 0, 0 1, 1 1
BAD = {**EPISODES, "33_test_predicted": [[3, 5], [3, 3], [2, 4]]}  # 2 2, 1 1, 1 1


def two_of_ratings(runs: RunFolders, figures: Mapping[str, Any]) -> None:
    for method, ranks in (("melu", GOOD), ("item_mean", BAD)):
        groups = {"new_user": figures}
        runs.add(method, figures, groups=groups, ranks=ranks, data="films", tested=[33], asked=RATINGS)


def differences(text: str, method: str) -> list[str]:
    """The cells of the method's line in the table of differences."""
    lines = text[text.index("question by question") :].splitlines()
    line = next(line for line in lines if line.startswith(method))
    return line.replace(" (p=", "(p=").replace(" [", "[").replace(", ", ",").split()[1:]


def test_ratings_are_compared_question_by_question(runs: RunFolders, conf_dir: Path) -> None:
    two_of_ratings(runs, {"mae": {33: (0.5, 3)}, "rmse": {33: (0.5, 3)}, "ndcg_lin@1": {33: (0.5, 3)}})

    text = render(runs.outputs, conf_dir=conf_dir, compare="item_mean")

    assert "films: difference to item_mean, question by question" in text
    mae, mse, ndcg = (cell.partition("[")[0] for cell in differences(text, "melu"))
    assert mae == f"{((0 - 2) + (0.5 - 1) + 0) / 3:+.4f}"
    assert mse == f"{((0 - 4) + (0.5 - 1) + 0) / 3:+.4f}"
    assert ndcg == f"{((1 - 3 / 5) + (1 - (4 + 2) / 2 / 4) + 0) / 3:+.4f}"  # a tie: either of the two is first
    assert "in place of rmse its square is compared, mse" in text
    assert "A lower error is better, so a difference below 0 is." in text


def test_a_group_of_ratings_is_compared_alone(runs: RunFolders, conf_dir: Path) -> None:
    two_of_ratings(runs, {"mae": {33: (0.5, 2)}})

    text = render(runs.outputs, conf_dir=conf_dir, compare="item_mean", group="new_user")

    assert "question by question of new_user" in text
    assert differences(text, "melu")[0].startswith("-0.2500[")


def test_only_runs_that_have_the_base_beside_them_are_compared(runs: RunFolders, conf_dir: Path) -> None:
    two(runs)
    runs.add("ader", FIGURES, data="globo")

    assert render(runs.outputs, conf_dir=conf_dir, compare="sml").count("question by question") == 1
    with pytest.raises(ReportError, match="no finished run of 'ewc' to compare with; there are: ader, sml, spmf"):
        render(runs.outputs, conf_dir=conf_dir, compare="ewc")


def test_valid_and_test_questions_of_one_period_are_kept_apart(runs: RunFolders) -> None:
    both = {"choosing": [33], "tested": [33]}
    groups = {"33_choosing:new_user": [1, 0], "33_test:new_user": [0, 1, 1]}
    runs.add("sml", FIGURES, ranks={"33_choosing": [0, 9], "33_test": [9, 9, 9], **groups}, **both)
    runs.add("spmf", FIGURES, ranks={"33_choosing": [9, 9], "33_test": [9, 9, 0], **groups}, **both)
    sml, spmf = read_runs(runs.outputs)

    (choosing,), (test,) = (compare.paired([sml], [spmf], ["hit@1"], test, "all") for test in ("choosing", "test"))

    assert (choosing.questions, choosing.mean) == (2, 0.5)
    assert (test.questions, test.mean) == (3, pytest.approx(-1 / 3))
    for role, expected in (("choosing", (1, 1)), ("test", (2, -0.5))):
        (of_group,) = compare.paired([sml], [spmf], ["hit@1"], role, "new_user")
        assert (of_group.questions, of_group.mean) == expected


def test_a_group_may_be_of_some_periods_only(runs: RunFolders) -> None:
    groups = {"33_test:old": [1, 1], "34_test:young": [1, 0, 1]}
    for method, rank in (("sml", 0), ("spmf", 5)):
        ranks = {"33_test": [rank] * 2, "34_test": [rank] * 3, **groups}
        runs.add(method, FIGURES, ranks=ranks, tested=[33, 34])
    sml, spmf = read_runs(runs.outputs)

    (found,) = compare.paired([sml], [spmf], ["mrr@1"], "test", "young")

    assert (found.questions, found.mean) == (2, 1)


def test_a_metric_of_ones_own_is_left_out_of_the_comparison_and_named(runs: RunFolders, conf_dir: Path) -> None:
    for method in ("sml", "spmf"):
        runs.add(method, {**FIGURES, "novelty@20": FIGURES["recall@1"]}, ranks=OURS, tested=[33, 34], data="own")
        runs.add(method, {"novelty@20": FIGURES["recall@1"]}, ranks=OURS, tested=[33, 34], data="other")

    text = render(runs.outputs, conf_dir=conf_dir, compare="sml", only={"data": "own"})

    assert differences(text, "spmf") == ["+0.0000[+0.0000,+0.0000](p=1.0000)"]
    assert "Not compared, as no value of each question is kept: novelty@20." in text
    with pytest.raises(ReportError, match="none of novelty@20 has a value of each question"):
        render(runs.outputs, conf_dir=conf_dir, compare="sml", only={"data": "other"})


def test_differences_of_any_size_are_compared() -> None:
    generator = np.random.default_rng(1)
    differences = generator.normal(size=200) + 0.2

    p_values = [compare.sign_flip(differences * size) for size in (1e-6, 1, 1e6)]

    assert p_values[0] == pytest.approx(p_values[1], abs=0.01)
    assert p_values[2] == pytest.approx(p_values[1], abs=0.01)
    assert 0.001 < p_values[1] < 0.2


USERS = {"33_test_user": [7, 7, 8, 9], "34_test_user": [7, 9]}


def test_the_questions_of_a_user_are_drawn_together() -> None:
    totals, questions = np.array([[6.0, 0.0, 1.0], [3.0, 0.0, 0.5]]), np.array([3.0, 1.0, 2.0])
    draws = np.array(list(product(range(3), repeat=3)))  # every draw of three users is as likely
    exact = np.sort((totals[:, draws].sum(2) / questions[draws].sum(1)), axis=1)

    low, high = compare.bootstrap(totals, questions, draws=200_000)

    for ends, at in ((low, 0.025), (high, 0.975)):
        assert ends == pytest.approx(np.quantile(exact, at, axis=1, method="inverted_cdf"), abs=1e-9)


def test_an_interval_by_users_is_wider_where_a_user_asks_the_same_again() -> None:
    values = np.random.default_rng(0).normal(size=50)
    owner = np.repeat(np.arange(50), 20)
    alone = compare.bootstrap(np.repeat(values, 20)[None], np.ones(1_000))
    together = compare.bootstrap(np.bincount(owner, weights=np.repeat(values, 20))[None], np.full(50, 20.0))

    assert together[1] - together[0] == pytest.approx((alone[1] - alone[0]) * 20**0.5, rel=0.1)


def test_users_are_those_of_the_questions(runs: RunFolders) -> None:
    runs.add("sml", FIGURES, ranks=OURS, tested=[33, 34])  # by an older version: the other run tells whose they are
    runs.add("spmf", FIGURES, ranks={**THEIRS, **USERS}, tested=[33, 34])
    ours, theirs = ([run for run in read_runs(runs.outputs) if run.method == name] for name in ("sml", "spmf"))

    (all_of_them,) = compare.paired(ours, theirs, ["recall@1"], "test", "all")
    (new_ones,) = compare.paired(ours, theirs, ["recall@1"], "test", "new_user")

    assert (all_of_them.questions, all_of_them.users) == (6, 3)
    assert all_of_them.p_value == pytest.approx(compare.sign_flip(np.array([3.0, 0.0, -1.0])))  # of the users' sums
    low, high = all_of_them.interval
    assert low < all_of_them.mean < high
    assert (new_ones.questions, new_ones.users) == (2, 2)


def test_runs_that_kept_no_users_say_so(runs: RunFolders, conf_dir: Path) -> None:
    two(runs)

    text = render(runs.outputs, conf_dir=conf_dir, compare="sml")

    assert "Some runs kept no users: there each question counts as another user's." in text
