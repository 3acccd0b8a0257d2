"""Two settings answered the same questions, so their answers can be compared question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recretrain.errors import ReportError
from recretrain.report.runs.answers import Users, Values, answers, users
from recretrain.report.runs.run import Run

FLIPS = 9_999
DRAWS = 1_000
DRAWN_AT_ONCE = 1 << 22  # counts of users
STEP = 0.01  # of the mean difference's power of ten: differences of as many steps flip together, in one binomial draw
SEED = 0  # the same runs give the same p-value


@dataclass(frozen=True)
class Difference:
    mean: float  # over questions
    interval: tuple[float, float]  # 95 %, of the mean of other users like these
    p_value: float  # two-sided, of the hypothesis that each user's difference has a random sign
    questions: int
    users: int  # 0: not kept, each question counts as another user's


def paired(
    ours: Sequence[Run], theirs: Sequence[Run], columns: Sequence[str], test: str, group: str
) -> list[Difference]:
    """`ours` minus `theirs` for each column such as recall@20, over the seeds that both settings have.

    A question counts once, with its mean over seeds; users are independent, the questions of one of them are not.
    Raises ReportError where the two have no seed in common, or did not answer equally many questions.
    """
    seeds = sorted({run.seed for run in ours} & {run.seed for run in theirs})
    if not seeds:
        raise ReportError(f"{ours[0].method} and {theirs[0].method} have no seed in common; run the same seeds of both")
    left, right = (_over_seeds(runs, seeds, columns, test, group) for runs in (ours, theirs))
    if left.shape != right.shape:
        raise ReportError(
            f"{ours[0].folder} and {theirs[0].folder} answered {left.shape[1]} and {right.shape[1]} questions"
        )
    told = (users(run, test, group) for run in (*ours, *theirs))  # the same of all, if they kept it
    return _differences(left - right, next((found for found in told if found is not None), None))


def interval(runs: Sequence[Run], column: str, test: str, group: str) -> tuple[float, float]:
    """Between which ends 95 % of the means over seeds are, of other users like these.

    Raises ReportError as `answers` does.
    """
    found = _over_seeds(runs, [run.seed for run in runs], [column], test, group)
    low, high = bootstrap(*_by_user(found, users(runs[0], test, group)))
    return float(low[0]), float(high[0])


def _by_user(found: Values, asked: Users | None) -> tuple[Values, Values]:
    """Sums over the questions of each user, and how many these are.  # [columns, Q], [Q] -> [columns, U], [U]"""
    owner = np.arange(found.shape[1]) if asked is None else np.unique(asked, return_inverse=True)[1]
    totals: Values = np.stack([np.bincount(owner, weights=one) for one in found]).astype(np.float64)
    return totals, np.bincount(owner).astype(np.float64)


def _differences(found: Values, asked: Users | None) -> list[Difference]:
    """One for each column.  # [columns, Q], [Q]"""
    totals, questions = _by_user(found, asked)
    low, high = bootstrap(totals, questions)
    return [
        Difference(float(one.mean()), ends, sign_flip(total), len(one), 0 if asked is None else len(questions))
        for one, total, ends in zip(found, totals, zip(low.tolist(), high.tolist(), strict=True), strict=True)
    ]


def bootstrap(totals: Values, questions: Values, draws: int = DRAWS) -> tuple[Values, Values]:
    """Between which ends 95 % of the means are, if as many users are drawn with replacement (Efron, percentiles).

    `totals`: sums over the questions of each user; `questions`: how many these are.  # [columns, U], [U] -> [columns]
    """
    if not len(questions):
        return np.full(len(totals), np.nan), np.full(len(totals), np.nan)
    random, users = np.random.default_rng(SEED), len(questions)
    step = max(1, DRAWN_AT_ONCE // users)
    sizes = [min(step, draws - start) for start in range(0, draws, step)]
    counts = (random.multinomial(users, np.full(users, 1 / users), size=size) for size in sizes)
    means = np.concatenate([(drawn @ totals.T) / (drawn @ questions)[:, None] for drawn in counts])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high


def sign_flip(differences: Values, flips: int = FLIPS) -> float:
    """Share of random sign flips whose sum is at least as far from 0, the observed one counted in (Phipps & Smyth)."""
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    step_size = STEP * 10 ** np.floor(np.log10(np.abs(nonzero).mean()))
    steps = np.rint(nonzero / step_size).astype(np.int64)
    size, count = np.unique(np.abs(steps), return_counts=True)
    random = np.random.default_rng(SEED)
    sums = np.zeros(flips, dtype=np.int64)
    for step, times in zip(size, count, strict=True):
        sums += step * (2 * random.binomial(times, 0.5, flips) - times)
    return float((1 + np.count_nonzero(np.abs(sums) >= abs(steps.sum()))) / (1 + flips))


def _over_seeds(runs: Sequence[Run], seeds: Sequence[int], columns: Sequence[str], test: str, group: str) -> Values:
    """Each question's mean over the seeds.  # [columns, Q]"""
    of_seed = {run.seed: run for run in runs}
    of_seeds = np.stack([answers(of_seed[seed], columns, test, group) for seed in seeds])
    return np.asarray(of_seeds.mean(axis=0))
