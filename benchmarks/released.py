"""Our CPU seconds beside those of the authors' programs, which were measured on another day on the same two cores.

Their code is not part of this repository. The data are drawn, of the sizes that theirs had.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from statistics import median

import torch

from benchmarks import episodes, sessions
from benchmarks.measure import Line, Work, cpu_seconds, repeated
from recretrain.data.kinds import Histories
from recretrain.evaluation.rankings import half_ranks

ITEMS = 18_569  # of DIGINETICA's first cycle
STEP, ANSWERS, EXEMPLARS = (
    0.340,
    0.157,
    195,
)  # CPU seconds: ADER's step, 64 prefixes, all exemplars (of 600 labels scaled)
USERS = {1: 246, 5: 66.7}  # of MeLU's meta-training, a CPU second, by local steps


def lines() -> Iterator[Line]:
    training = sessions.Training(ITEMS)
    yield _beside("ADER, a step of 256 prefixes, 18569 items", partial(repeated, training.step, 8), 8 * STEP, 5)
    yield _beside("ADER, 64 prefixes answered", partial(repeated, _answering(), 20), 20 * ANSWERS, 10)
    yield _beside("ADER, 30000 exemplars of a first cycle", sessions.choosing(), EXEMPLARS, 100)
    for steps, users in USERS.items():
        what = f"MeLU, meta-training, {steps} local step{'s' if steps > 1 else ''}"
        yield _beside(what, episodes.epoch(steps, 640), 640 / users, 10)


def _beside(what: str, ours: Work, theirs: float, asked: float) -> Line:
    ours()
    seconds = median(cpu_seconds(ours) for _ in range(3))
    return Line(what, f"{1000 * seconds:.3g} ms", f"{1000 * theirs:.3g} ms", theirs / seconds, asked)


def _answering() -> Work:
    model, prefixes = sessions.backbone(ITEMS).eval(), sessions.sessions(ITEMS).at(torch.arange(64))
    test = Histories(
        period=1,
        user=torch.zeros_like(prefixes.stop),
        labels=prefixes.labels,
        catalogue=torch.arange(ITEMS),
        history=prefixes.histories(sessions.LONGEST).to(torch.int32),
    )
    return lambda: half_ranks(model, test, sessions.CPU)
