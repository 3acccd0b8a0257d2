"""The figures of a cohort: averaged over periods first, then mean and deviation over seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from recretrain.records import AGAIN, UPDATE
from recretrain.report.runs.cohorts import Cohort
from recretrain.report.runs.reading import tidy, tidy_costs

ERRORS = ("mae", "mse", "rmse", "nll")  # the lower, the better
FACTS = ("known_share",)  # about what was asked: neither good nor bad
RANKED = ("recall", "ndcg", "ndcg_lin", "ndcg_exp", "mrr", "hit", "mrr_all", "hit_all")
METRICS = ("accuracy", *ERRORS, "auc", "sampled_accuracy", *RANKED)  # in this order, then others by name
IMPROVED = ("recall", "ndcg")  # the metrics that Table 1 of SML gives an RI for
COSTS = {"cpu_seconds": "mean", "rows_read": "mean", "peak_memory_mb": "max", "trained_parameters": "max"}


class Average(NamedTuple):
    mean: float
    deviation: float | None  # sample deviation over seeds; None for one seed
    seeds: int


Averages = Mapping[tuple[str, str], Average]  # (label, column)
Weigh = Literal["questions", "periods"]  # what counts the same in a mean over periods


def measured(cohort: Cohort, test: str, group: str) -> pd.DataFrame:
    """The rows of the asked test and group: label, seed, period, column (such as recall@20), value, n."""
    rows = tidy(cohort.runs, cohort.labels)
    rows = rows[(rows["test"] == test) & (rows["group"] == group) & (rows["n"] > 0)]
    rows = rows[rows["period"].isin(cohort.asked.periods(test))]
    return rows.assign(column=columns_of(rows))[["label", "seed", "task", "period", "column", "value", "n"]]


def measured_columns(cohort: Cohort) -> set[str]:
    """The columns of the tests: neither notes on updates nor questions that were asked again."""
    rows = tidy(cohort.runs, cohort.labels)
    rows = rows[~rows["test"].isin((AGAIN, UPDATE))]
    return set(columns_of(rows))


def columns_of(rows: pd.DataFrame) -> list[str]:
    """The column of each row, such as recall@20."""
    return [column_name(metric, k) for metric, k in zip(rows["metric"], rows["k"], strict=True)]


def restricted(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The rows of these columns, named as a metric at a k (recall@20) or as a metric (recall)."""
    return rows[[name in columns or name.partition("@")[0] in columns for name in rows["column"]]]


def scaled(rows: pd.DataFrame, scale: float) -> pd.DataFrame:
    return rows.assign(value=rows["value"] * scale)


def column_name(metric: str, k: float) -> str:
    return f"{metric}@{int(k)}" if k == k and k > 0 else metric


def is_fact(column: str) -> bool:
    """Whether neither higher nor lower values are better."""
    return column.startswith("RI ") or column in FACTS


def is_error(column: str) -> bool:
    """Whether lower values are better."""
    return column.partition("@")[0] in ERRORS


def in_order(columns: Iterable[str]) -> list[str]:
    """By metric, then k; a metric's RI stands behind its last k."""
    return sorted(set(columns), key=_column_order)


def leading(columns: Sequence[str]) -> str:
    """Of columns in order the one that stands for them: the first metric at its largest k."""
    first = columns[0].partition("@")[0]
    return [name for name in columns if name.partition("@")[0] == first][-1]


def over_seeds(rows: pd.DataFrame, weigh: Weigh = "questions") -> Averages:
    """Each seed's mean over all its questions, or over its periods; then mean and sample deviation over the seeds."""
    return _spread(of_seeds(rows, weigh))


def of_seeds(rows: pd.DataFrame, weigh: Weigh = "questions") -> pd.Series[float]:
    """Each seed's mean over all its questions, or over its periods, by label, seed and column."""
    weight = rows["n"] if weigh == "questions" else 1.0
    weighted = rows.assign(total=rows["value"] * weight, weight=weight)
    sums = weighted.groupby(["label", "seed", "column"])[["total", "weight"]].sum()
    means: pd.Series[float] = sums["total"] / sums["weight"]
    return means


def with_improvements(found: Averages, reference: str) -> dict[tuple[str, str], Average]:
    """`found` and, for each other setting, the relative improvement of `reference` over it (`RI recall`, `RI ndcg`)."""
    improved: dict[tuple[str, str], Average] = dict(found)
    for metric in IMPROVED:
        for label in {label for label, _ in found} - {reference}:
            names = [name for other, name in found if other == label and name.startswith(f"{metric}@")]
            names = [name for name in names if (reference, name) in found]
            ours = [found[reference, name].mean for name in names]
            theirs = [found[label, name].mean for name in names]
            if theirs and min(theirs) > 0:
                improved[label, f"RI {metric}"] = Average(relative_improvement(ours, theirs), None, 1)
    return improved


def count_questions(rows: pd.DataFrame) -> int:
    """How many questions a run answered in these rows."""
    one = rows.drop_duplicates(["period"])
    return int(one["n"].sum())


def costs(cohort: Cohort, test: str) -> Averages:
    """Mean costs of the tasks that answered the periods of `test` (memory and parameters: the largest), over seeds."""
    rows, spent = tidy(cohort.runs, cohort.labels), tidy_costs(cohort.runs, cohort.labels)
    answered = rows.loc[rows["test"] == test, ["label", "seed", "task"]].drop_duplicates()
    spent = spent.merge(answered, on=["label", "seed", "task"])
    per_seed = spent.groupby(["label", "seed"])[list(COSTS)].agg(COSTS)
    long = per_seed.melt(ignore_index=False, var_name="column")
    return _spread(long.set_index("column", append=True)["value"])


def by_period(rows: pd.DataFrame, column: str, how: Literal["mean", "min", "max"] = "mean") -> pd.DataFrame:
    """Label x period, over seeds."""
    return rows[rows["column"] == column].pivot_table(index="label", columns="period", values="value", aggfunc=how)


def relative_improvement(reference: Sequence[float], baseline: Sequence[float]) -> float:
    """RI in percent: mean over K of reference / baseline - 1, both in the order of K."""
    ratio = np.asarray(reference, dtype=float) / np.asarray(baseline, dtype=float)
    return float(100 * (ratio - 1).mean())


def _spread(per_seed: pd.Series[float]) -> Averages:
    """Over the seeds of a series that is indexed by label, seed and column."""
    table = per_seed.groupby(level=["label", "column"]).agg(["mean", "std", "count"])
    return {
        (str(label), str(column)): Average(float(mean), float(std) if count > 1 else None, int(count))
        for (label, column), mean, std, count in zip(
            table.index, table["mean"], table["std"], table["count"], strict=True
        )
    }


def _column_order(name: str) -> tuple[int, str, float]:
    metric, _, k = name.removeprefix("RI ").partition("@")
    place = METRICS.index(metric) if metric in METRICS else len(METRICS)
    return place, metric, float("inf") if name.startswith("RI ") else int(k or 0)
