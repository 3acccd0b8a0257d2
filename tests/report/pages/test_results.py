"""Figures of the tables, each computed by hand here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from recretrain.errors import ReportError
from recretrain.report import render
from recretrain.report.papers import loading
from recretrain.report.runs import averages
from recretrain.report.runs.cohorts import Cohort, cohorts
from recretrain.report.runs.reading import read_runs
from tests.report.folders import PREFIXES, RATINGS

if TYPE_CHECKING:
    from tests.report.folders import RunFolders


def only_cohort(runs: RunFolders) -> Cohort:
    (cohort,) = cohorts(read_runs(runs.outputs))
    return cohort


def line(text: str, start: str) -> list[str]:
    """The cells of the first line that starts so."""
    return next(row for row in text.splitlines() if row.startswith(start)).split()


def test_keys_in_names_are_told_in_full(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("spmf", {"recall@20": {33: (0.5, 10)}}, overrides=["method.learner.epochs=2", "schedule=months"])
    runs.add("spmf", {"recall@20": {33: (0.5, 10)}})
    runs.add("sml", {"recall@20": {33: (0.5, 10)}}, overrides=["method.loops=2"])

    text = render(runs.outputs, conf_dir=conf_dir)

    assert "spmf (epochs=2, schedule=months)" in text
    assert "  In names: epochs is method.learner.epochs.\n" in text  # sml has but one variant


def test_periods_weigh_as_many_as_they_have_questions(runs: RunFolders) -> None:
    runs.add("sml", {"recall@20": {33: (0.1, 10), 34: (0.4, 20)}})
    cohort = only_cohort(runs)

    found = averages.over_seeds(averages.measured(cohort, "test", "all"))

    assert found["sml", "recall@20"].mean == pytest.approx((0.1 * 10 + 0.4 * 20) / 30)
    assert found["sml", "recall@20"].deviation is None


def test_seeds_give_a_mean_and_a_sample_deviation(runs: RunFolders, conf_dir: Path) -> None:
    for seed, value in enumerate([0.1, 0.2, 0.6]):
        runs.add("sml", {"recall@20": {33: (value, 10)}}, seed=seed)

    text = render(runs.outputs, conf_dir=conf_dir)

    # mean .3; squares .04 + .01 + .09 over 2 degrees of freedom
    assert line(text, "sml") == ["sml", "3", "0.3000", "±", "0.2646"]


def test_choosing_periods_never_mix_with_tested_ones(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {32: (0.9, 10), 33: (0.1, 10)}})

    tested = render(runs.outputs, conf_dir=conf_dir)
    choosing = render(runs.outputs, conf_dir=conf_dir, test="choosing")

    assert line(tested, "sml") == ["sml", "1", "0.1000"]
    assert line(choosing, "sml") == ["sml", "1", "0.9000"]
    assert "choosing periods (for hyper-parameters, not a result) 32" in choosing
    assert "choosing" not in tested


def test_a_period_that_answered_both_kinds_of_questions_counts_in_each_table_with_its_own(
    runs: RunFolders, conf_dir: Path
) -> None:
    runs.add("sml", {"recall@20": {33: (0.9, 10), 34: (0.1, 10)}}, choosing=[33], tested=[33, 34])

    assert line(render(runs.outputs, conf_dir=conf_dir), "sml") == ["sml", "1", "0.1000"]


def test_a_run_that_is_to_end_early_counts_up_to_there(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {33: (0.1, 10), 34: (0.9, 10)}}, tested=[33], tasks=1)

    assert line(render(runs.outputs, conf_dir=conf_dir), "sml") == ["sml", "1", "0.1000"]


def test_published_figures_stand_beside_tested_periods_and_all_questions_only(runs: RunFolders, conf_dir: Path) -> None:
    figures = {"recall@20": {32: (0.9, 10), 33: (0.1, 10)}}
    runs.add("sml", figures, groups={"new_user": figures})

    assert "published" in render(runs.outputs, conf_dir=conf_dir)
    assert "published" not in render(runs.outputs, conf_dir=conf_dir, test="choosing")
    assert "published" not in render(runs.outputs, conf_dir=conf_dir, group="new_user")


def test_new_users_and_new_items_have_tables_of_their_own(runs: RunFolders, conf_dir: Path) -> None:
    groups = {"new_user": {"recall@20": {33: (0.3, 4)}}, "new_item": {"recall@20": {33: (0.2, 5)}}}
    runs.add("sml", {"recall@20": {33: (0.1, 10)}}, groups=groups)

    users = render(runs.outputs, conf_dir=conf_dir, group="new_user")
    items = render(runs.outputs, conf_dir=conf_dir, group="new_item")

    assert line(users, "sml") == ["sml", "1", "0.3000"]
    assert "questions of new users, 4 questions" in users
    assert line(items, "sml") == ["sml", "1", "0.2000"]
    assert "questions about new items, 5 questions" in items


def test_the_best_of_a_column_is_marked_as_it_is_printed(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {33: (0.30001, 10)}, "ndcg@20": {33: (0.1, 10)}})
    runs.add("fine_tune", {"recall@20": {33: (0.30002, 10)}, "ndcg@20": {33: (0.2, 10)}})
    runs.add("spmf", {"recall@20": {33: (0.2, 10)}, "ndcg@20": {33: (0.1, 10)}})

    text = render(runs.outputs, conf_dir=conf_dir)

    marked = {name: [cell for cell in line(text, name) if cell.endswith("*")] for name in ("sml", "fine", "spmf")}
    assert marked == {"sml": ["0.3000*"], "fine": ["0.3000*", "0.2000*"], "spmf": []}


def test_costs_are_those_of_the_tasks_that_answered_the_tested_periods(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {32: (0.1, 1), 33: (0.1, 1), 34: (0.1, 1)}}, cpu={32: 100.0, 33: 2.0, 34: 4.0})

    text = render(runs.outputs, conf_dir=conf_dir)

    costs = text[text.index("cost of a period") :]
    assert line(costs, "sml") == ["sml", "3.00", "10", "100", "7"]


def test_by_period_shows_a_metric_over_time(runs: RunFolders, conf_dir: Path) -> None:
    for seed in (0, 1):
        runs.add("sml", {"recall@20": {33: (0.1 + seed / 10, 1), 34: (0.4, 1)}}, seed=seed)

    text = render(runs.outputs, conf_dir=conf_dir, by_period="recall@20")

    assert line(text, "recall@20") == ["recall@20,", "method", "33", "34"]
    assert line(text, "sml") == ["sml", "0.1500", "0.4000"]


def test_a_metric_that_nobody_measured_is_refused_and_one_that_some_measured_is_not(
    runs: RunFolders, conf_dir: Path
) -> None:
    runs.add("sml", {"recall@20": {33: (0.1, 1)}})
    runs.add("sml", {"mrr@20": {33: (0.2, 1)}}, data="globo")

    assert line(render(runs.outputs, conf_dir=conf_dir, by_period="mrr@20"), "sml") == ["sml", "0.2000"]
    with pytest.raises(ReportError, match="no run measured recall@7; measured: recall@20, mrr@20"):
        render(runs.outputs, conf_dir=conf_dir, by_period="recall@7")


def test_a_test_without_questions_says_so(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {33: (0.1, 1)}})

    assert "no question of test=choosing, group=new_item" in render(
        runs.outputs, conf_dir=conf_dir, test="choosing", group="new_item"
    )


def test_columns_go_by_metric_then_k_and_end_with_the_improvement() -> None:
    names = ["mrr@5", "RI ndcg", "ndcg@5", "recall@20", "RI recall", "recall@5"]

    assert averages.in_order(names) == ["recall@5", "recall@20", "RI recall", "ndcg@5", "RI ndcg", "mrr@5"]


def test_the_columns_are_those_of_the_table_about_these_data(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {name: {33: (0.5, 1)} for name in ("recall@5", "recall@20", "mrr@5", "mrr@20")})

    header = line(render(runs.outputs, conf_dir=conf_dir), "method")

    assert header == ["method", "seeds", "recall@5", "recall@20"]


def test_rows_may_be_restricted_to_metrics_or_metrics_at_a_k(runs: RunFolders) -> None:
    runs.add("sml", {name: {33: (0.5, 1)} for name in ("recall@5", "recall@20", "mrr@5", "mrr@20")})

    found = averages.restricted(averages.measured(only_cohort(runs), "test", "all"), ["mrr", "recall@5"])

    assert averages.in_order(found["column"]) == ["recall@5", "mrr@5", "mrr@20"]


def test_settings_of_no_row_stand_best_first_also_where_lower_is_better(runs: RunFolders, conf_dir: Path) -> None:
    for method, value in (("a", 0.5), ("b", 0.9), ("c", 0.1)):
        runs.add(method, {"recall@20": {33: (value, 1)}}, data="own")
        runs.add(method, {"mae": {33: (value, 1)}}, data="own", asked=RATINGS)

    parts = render(runs.outputs, conf_dir=conf_dir).split("method ")
    order = {part.split()[1]: [row[0] for row in part.splitlines() if row[:2] in ("a ", "b ", "c ")] for part in parts}

    assert order["recall@20"] == ["b", "a", "c"]
    assert order["mae"] == ["c", "a", "b"]


def test_relative_improvement_reproduces_the_printed_table_1(conf_dir: Path) -> None:
    """To the rounding of the printed figures, but for SPMF on Adressa (recall), which computes to 88.7, not 87.3."""
    published = loading.load(conf_dir, "sml_table1").published.cells
    checked = 0

    for data, methods in published.items():
        for method, cells in methods.items():
            for metric in ("recall", "ndcg") if method != "sml" else ():
                ours = [methods["sml"][f"{metric}@{k}"].value for k in (5, 10, 20)]
                theirs = [cells[f"{metric}@{k}"].value for k in (5, 10, 20)]
                printed = cells[f"RI {metric}"].value
                if (data, method, metric) == ("Adressa", "spmf", "recall"):
                    assert printed == 87.3
                    printed = 88.7
                lowest, highest = (
                    averages.relative_improvement([x - error for x in ours], [x + error for x in theirs])
                    for error in (0.00005, -0.00005)
                )
                assert lowest - 0.05 <= printed <= highest + 0.05
                assert averages.relative_improvement(ours, theirs) == pytest.approx(printed, rel=0.005, abs=0.1)
                checked += 1

    assert checked == 20


def test_improvement_is_the_mean_of_the_ratios_of_means_over_k(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@5": {33: (0.3, 1)}, "recall@20": {33: (0.6, 1)}})
    runs.add("spmf", {"recall@5": {33: (0.2, 1)}, "recall@20": {33: (0.5, 1)}})

    text = render(runs.outputs, conf_dir=conf_dir)

    assert line(text, "spmf")[-1] == "35.0%"  # (1.5 + 1.2) / 2 - 1


def test_unknown_choices_are_refused_with_the_known_ones(runs: RunFolders, conf_dir: Path) -> None:
    runs.add("sml", {"recall@20": {33: (0.5, 1)}})
    choices = {"test": "test, choosing", "group": "all, new_user, new_item", "format": "terminal, github"}

    for wrong, known in choices.items():
        with pytest.raises(ReportError, match=f"unknown {wrong} 'x'; choose from {known}"):
            render(runs.outputs, conf_dir=conf_dir, **{wrong: "x"})
    with pytest.raises(ReportError, match=r"no table 'x'; there are: .*sml_table1"):
        render(runs.outputs, conf_dir=conf_dir, table="x")


@pytest.mark.parametrize("beside", [True, False])
def test_a_method_that_was_asked_nothing_is_named(runs: RunFolders, conf_dir: Path, beside: bool) -> None:
    runs.add("ader", {"recall@20": {33: (0.0, 0)}}, tested=(33,), asked=PREFIXES)
    if beside:
        runs.add("sml", {"recall@20": {33: (0.1, 10)}}, tested=(33,))

    text = render(runs.outputs, conf_dir=conf_dir)

    assert ("\nsml " in text) == beside
    said = "ader has no figures: there were no questions in the test periods 33 of yelp (whole catalogue)"
    assert said in text.splitlines()
    assert "sml has no figures" not in text
