"""Two settings answered the same questions, so their answers can be compared question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recretrain.errors import ReportError
from recretrain.report.runs.answers import Values, answers
from recretrain.report.runs.run import Run

FLIPS = 9_999
STEP = 0.01  # of the mean difference's power of ten: differences of as many steps flip together, in one binomial draw
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
    return [Difference(float(one.mean()), sign_flip(one), len(one)) for one in left - right]


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
