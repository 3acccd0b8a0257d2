"""The value of a metric for every single question of a run, from the arrays of ranks.npz."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recretrain import sealed
from recretrain.errors import ReportError
from recretrain.records import ranks_key
from recretrain.report.runs.run import Run

Values = NDArray[np.float64]
Users = NDArray[np.int32]
Arrays = Mapping[str, NDArray[Any]]  # of one period, by what ranks_key appends

USER = "_user"
_OWN = "="  # before the column of a metric of one's own (records.values_key)
TIES = "_ties"  # how many candidates equal the label; kept where any does
KEPT = ("", TIES, "_predicted", "_rated", "_sampled", "_scores", "_label", USER)
RANKS = ("", "_sampled")  # stored doubled

GAINS: dict[str, Callable[[Values], Values]] = {  # of one relevant item at a rank [Q] within the first k
    "recall": np.ones_like,
    "hit": np.ones_like,
    "ndcg": lambda ranks: 1 / np.log2(ranks + 2),
    "mrr": lambda ranks: 1 / (ranks + 1),
}
ERRORS: dict[str, Callable[[Values], Values]] = {  # of predicted - rated [Q, n] whose mean over questions is the figure
    "mae": np.abs,
    "mse": np.square,
}
RATING_GAINS: dict[str, Callable[[Values], Values]] = {  # of an item by its rating
    "ndcg_lin": lambda rated: rated,
    "ndcg_exp": lambda rated: 2**rated - 1,
}

WHOLE = "_all"  # behind the name of a metric: in the whole catalogue, where there are candidates beside it
CLASSES: dict[str, Callable[[Arrays], Values]] = {  # of labels that are classes
    "accuracy": lambda arrays: (arrays[""] == 0).astype(np.float64),
    "nll": lambda arrays: nll(arrays["_scores"].astype(np.float64), arrays["_label"]),
}


def has_value(column: str) -> bool:
    """Whether a column such as recall@20 is a mean of values of single questions that can be made here."""
    metric = column.partition("@")[0]
    return metric.removesuffix(WHOLE) in GAINS or metric in {*ERRORS, *RATING_GAINS, *CLASSES}


def kept_values(run: Run) -> set[str]:
    """The columns whose values were kept as they were measured: metrics of one's own."""
    tasks = [task for task in sealed.finished(run.folder / "tasks") if (task / "ranks.npz").is_file()]
    names: set[str] = set()
    for task in tasks[-1:]:
        with np.load(task / "ranks.npz") as stored:
            names = {name.partition(_OWN)[2] for name in stored.files if _OWN in name}
    return names


def answers(run: Run, columns: Sequence[str], test: str, group: str) -> Values:
    """Values of the questions of a group, period after period.  # [columns, Q]

    Raises ReportError where the run kept no arrays of a period, or too few for a column.
    """
    parts = {period: _columns(arrays, columns) for period, arrays in _periods(run, test, group)}
    if missing := sorted(set(run.asked.periods(test)) - parts.keys()):
        raise ReportError(f"{run.folder} has no ranks or ratings of periods {missing}; delete it and run it again")
    return np.concatenate([parts[period] for period in sorted(parts)], axis=1)


def users(run: Run, test: str, group: str) -> Users | None:
    """Whose the questions of a group are, in the same order; None where a period does not tell.  # [Q]"""
    parts = {period: arrays.get(USER) for period, arrays in _periods(run, test, group)}
    told = [part for period in sorted(parts) if (part := parts[period]) is not None]
    return np.concatenate(told) if told and len(told) == len(parts) else None


def values(arrays: Arrays, column: str) -> Values:
    """A column from 0-based ranks (half a rank where candidates tied), or from predicted and rated.  # [Q]"""
    if _OWN + column in arrays:
        return np.asarray(arrays[_OWN + column], dtype=np.float64)
    metric, _, k = column.partition("@")
    classes = "_label" in arrays
    if metric in CLASSES and classes:
        return CLASSES[metric](arrays)
    gain = GAINS.get(metric.removesuffix(WHOLE))
    if gain is not None and "" in arrays and not classes:
        if metric in GAINS and "_sampled" in arrays:
            return _within(arrays["_sampled"], gain, int(k))
        return _within(arrays[""], gain, int(k)) if TIES not in arrays else _tied(arrays, gain, int(k))
    if gain is None and {"_predicted", "_rated"} <= arrays.keys():
        predicted, rated = arrays["_predicted"].astype(np.float64), arrays["_rated"].astype(np.float64)
        if metric in ERRORS:
            return np.asarray(ERRORS[metric](predicted - rated).mean(axis=1))
        return ndcg(predicted, rated, int(k), RATING_GAINS[metric])
    raise ReportError(f"cannot compute {column} from the arrays that the run kept")


def _within(ranks: Values, gain: Callable[[Values], Values], k: int) -> Values:
    return np.where(ranks < k, gain(ranks), 0.0)


def _tied(arrays: Arrays, gain: Callable[[Values], Values], k: int) -> Values:
    """The mean gain over the places that a label may have among those that equal it (evaluation.metrics).  # [Q]"""
    ties = arrays[TIES].astype(np.int64)
    first = np.rint(arrays[""] - ties / 2).astype(np.int64)
    until = np.concatenate([[0.0], gain(np.arange(k, dtype=np.float64)).cumsum()])  # gains of the places before
    found = until[np.minimum(first + ties + 1, k)] - until[np.minimum(first, k)]
    return np.asarray(found / (ties + 1))


def nll(scores: Values, label: NDArray[np.int32]) -> Values:
    """-log softmax(scores) at the label.  # [Q, C], [Q] -> [Q]"""
    above = scores - scores.max(axis=1, keepdims=True)
    own = np.take_along_axis(above, label[:, None].astype(np.int64), axis=1)[:, 0]
    return np.asarray(np.log(np.exp(above).sum(axis=1)) - own)


def ndcg(predicted: Values, rated: Values, k: int, gain: Callable[[Values], Values]) -> Values:
    """DCG of the first k by prediction over that of the best order; ties share their places' discounts.  # [Q]"""
    return _dcg(predicted, gain(rated), k) / _dcg(rated, gain(rated), k)


def _dcg(score: Values, gain: Values, k: int) -> Values:
    places = np.arange(score.shape[1])
    until = np.cumsum([0.0, *np.where(places < k, 1 / np.log2(places + 2), 0.0)])  # discounts of the places before
    first = (score[:, None, :] > score[:, :, None]).sum(axis=2)
    ties = (score[:, None, :] == score[:, :, None]).sum(axis=2)
    return np.asarray((gain * (until[first + ties] - until[first]) / ties).sum(axis=1))


def _periods(run: Run, test: str, group: str) -> Iterator[tuple[int, Arrays]]:
    for task in sealed.finished(run.folder / "tasks"):
        if what := sealed.damage(task, ["ranks.npz"]):
            raise ReportError(f"{what}; delete {run.folder} and repeat its command")
        if not (task / "ranks.npz").is_file():
            continue
        with np.load(task / "ranks.npz") as stored:
            for period in run.asked.periods(test):
                if arrays := _arrays(stored, period, test, group):
                    yield period, arrays


def _columns(arrays: Arrays, columns: Sequence[str]) -> Values:
    """Values of the questions of a period.  # [columns, Q]"""
    none = not len(next(iter(arrays.values())))  # of the group: any column has no value
    return np.stack([np.zeros(0) if none else values(arrays, column) for column in columns])


def _arrays(stored: Mapping[str, NDArray[Any]], period: int, test: str, group: str) -> Arrays:
    """The arrays of a group's questions; ranks are stored doubled. A period without the group has none of them."""
    own = [name.partition(_OWN)[2] for name in stored if name.startswith(ranks_key(period, test, _OWN))]
    every = (*KEPT, *(_OWN + name for name in own))
    found = {what: stored[key] for what in every if (key := ranks_key(period, test, what)) in stored}
    if group != "all" and found:
        key = ranks_key(period, test, f":{group}")
        members = stored[key] if key in stored else slice(0)
        found = {what: array[members] for what, array in found.items()}
    return {what: array / 2 if what in RANKS else array for what, array in found.items()}
