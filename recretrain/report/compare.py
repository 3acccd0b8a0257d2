"""Two settings answered the same questions, so their ranks can be compared question by question."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recretrain.errors import ReportError
from recretrain.report.rows import Run

Values = NDArray[np.float64]

FLIPS = 9_999
GRID = 1_000  # differences are counted in steps of 1/1000: equal ones flip together, in one binomial draw
SEED = 0  # the same runs give the same p-value


@dataclass(frozen=True)
class Difference:
    mean: float
    p_value: float  # two-sided, of the hypothesis that each question's difference has a random sign
    questions: int


def paired(
    ours: Sequence[Run], theirs: Sequence[Run], columns: Sequence[str], test: str, group: str
) -> list[Difference]:
    """`ours` minus `theirs` for each column such as recall@20, over the seeds that both settings have.

    A question counts once, with its mean over seeds. Questions are taken as independent, though a user may ask several.
    """
    seeds = sorted({run.seed for run in ours} & {run.seed for run in theirs})
    if not seeds:
        raise ReportError(f"{ours[0].method} and {theirs[0].method} have no seed in common; run the same seeds of both")
    left, right = _ranks(ours, seeds, test, group), _ranks(theirs, seeds, test, group)
    if left.shape != right.shape:
        raise ReportError(
            f"{ours[0].folder} and {theirs[0].folder} answered {left.shape[1]} and {right.shape[1]} questions"
        )
    return [_difference(values(left, name) - values(right, name)) for name in columns]


def sign_flip(differences: Values, flips: int = FLIPS) -> float:
    """Share of random sign flips whose sum is at least as far from 0, the observed one counted in (Phipps & Smyth)."""
    steps = np.rint(differences * GRID).astype(np.int64)
    size, count = np.unique(np.abs(steps[steps != 0]), return_counts=True)
    random = np.random.default_rng(SEED)
    sums = np.zeros(flips, dtype=np.int64)
    for step, times in zip(size, count, strict=True):
        sums += step * (2 * random.binomial(times, 0.5, flips) - times)
    return float((1 + np.count_nonzero(np.abs(sums) >= abs(steps.sum()))) / (1 + flips))


def _ranks(runs: Sequence[Run], seeds: Sequence[int], test: str, group: str) -> Values:
    """[seeds, questions] 0-based ranks; half a rank where candidates tied."""
    of_seed = {run.seed: run for run in runs}
    return np.stack([_ranks_of(of_seed[seed], test, group) for seed in seeds])


def _ranks_of(run: Run, test: str, group: str) -> Values:
    parts: dict[int, Values] = {}
    wanted = set(run.questions.periods(test))
    for path in run.folder.glob("tasks/*/ranks.npz"):
        with np.load(path) as stored:
            for period in wanted & {int(key) for key in stored.files if key.isdigit()}:
                kept = slice(None) if group == "all" else stored[f"{period}_{group}"]
                parts[period] = stored[str(period)][kept] / 2
    if parts.keys() != wanted:
        raise ReportError(f"{run.folder} has no ranks of periods {sorted(wanted - parts.keys())}; run it again")
    return np.concatenate([parts[period] for period in sorted(parts)])


def _difference(differences: Values) -> Difference:
    by_question = differences.mean(axis=0)
    return Difference(float(by_question.mean()), sign_flip(by_question), len(by_question))


def values(ranks: Values, column: str) -> Values:
    metric, _, k = column.partition("@")
    if metric not in GAINS:
        raise ReportError(f"cannot compute {column} from ranks")
    return np.where(ranks < int(k), GAINS[metric](ranks), 0.0)


GAINS: dict[str, Callable[[Values], Values]] = {  # of one relevant item at a rank within the first k
    "recall": np.ones_like,
    "hit": np.ones_like,
    "ndcg": lambda ranks: 1 / np.log2(ranks + 2),
    "mrr": lambda ranks: 1 / (ranks + 1),
}
