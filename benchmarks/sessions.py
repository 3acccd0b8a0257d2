"""CPU seconds of a step, of ranking and of choosing exemplars at DIGINETICA's size, beside padded and sorted ways.

Sessions are drawn: lengths as in DIGINETICA (ader.md, b: 4.1 items before the label on average), 43,105 items.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks import plain
from benchmarks.measure import Line, cpu_seconds, faster, repeated
from recretrain.backbones.ader_sasrec import AderSASRec
from recretrain.backbones.optimizers import TensorFlowAdam
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Histories, TestSet
from recretrain.data.prefixes import Prefixes, prefixes_of
from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period, Rows
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.evaluation.rankings import half_ranks
from recretrain.methods.ader import ADER
from recretrain.methods.learners.next_item import NextItemLearner, PrefixBatches
from recretrain.methods.learners.next_item import plain as plain_loss
from recretrain.methods.parts.exemplars import Candidates, Memory, herding, proportional
from recretrain.methods.replay import representations

CPU = torch.device("cpu")
ITEMS, SIZE, LONGEST, BATCH = 43_105, 150, 50, 256
CLICKS, EXEMPLARS = 57_000, 30_000  # of a late week; kept from cycle to cycle


def lines() -> Iterator[Line]:
    yield step_against("logits at every position", plain.every_position, asked=9, repetitions=1)
    yield step_against("logits at the last position", plain.last_position, asked=2, repetitions=3)
    yield ranking()
    yield selection()
    yield state()


class Training:
    """Our way: grouped by length, the soft-max a block of items at a time, gradients written into the table."""

    def __init__(self) -> None:
        self.model = backbone().train()
        self.adam = TensorFlowAdam(list(self.model.parameters()), learning_rate=5e-4)
        self.batches = itertools.cycle(PrefixBatches(sessions(), BATCH, LONGEST, generator(), None))

    def step(self) -> None:
        self.adam.zero_grad()
        plain_loss(self.model, ITEMS, next(self.batches)).backward()
        self.adam.step()


def step_against(what: str, loss: plain.SequenceLoss, *, asked: float, repetitions: int) -> Line:
    ours, padded = Training(), plain.PaddedTraining(ITEMS, SIZE, LONGEST, loss)
    batches = PrefixBatches(sessions(), BATCH, LONGEST, generator(), None)
    first = next(iter(batches))
    full = nn.functional.pad(first.history, (LONGEST - first.history.shape[1], 0), value=-1)
    steps = 8

    def several() -> None:
        for _ in range(steps):
            ours.step()

    line = faster(
        f"a step of {BATCH} prefixes, {ITEMS} items, against one padded to {LONGEST}, {what}",
        several,
        lambda: repeated(lambda: padded.step(full, first.label), repetitions),
        asked=asked,
        repetitions=1,
    )
    ratio = line.figure * steps / repetitions
    return Line(line.what, f"{line.ours} / {steps}", f"{line.compared} / {repetitions}", ratio, asked)


def ranking() -> Line:
    model, prefixes = backbone().eval(), sessions().at(torch.arange(4000))
    history = prefixes.histories(LONGEST)
    test = Histories(
        period=1,
        user=torch.zeros_like(prefixes.stop),
        labels=prefixes.labels,
        catalogue=torch.arange(ITEMS),
        history=history.to(torch.int32),
    )
    some = 200
    line = faster(
        "ranking prefixes among all items, against a full sort a row",
        lambda: half_ranks(model, test, CPU),
        lambda: plain.rank_by_sorting(model, history[:some], prefixes.labels[:some]),
        asked=8,
        repetitions=3,
    )
    return Line(
        line.what, f"{line.ours} / {len(test)}", f"{line.compared} / {some}", line.figure * len(test) / some, line.asked
    )


def selection() -> Line:
    model, prefixes = backbone().eval(), sessions()
    candidates = Candidates(
        prefixes, features=lambda: representations(model, prefixes), losses=lambda: torch.zeros(len(prefixes))
    )
    count = torch.bincount(prefixes.labels, minlength=ITEMS)
    quota = torch.minimum(proportional(count, EXEMPLARS, generator()), count)
    seconds = cpu_seconds(lambda: herding(candidates, quota, generator()))
    what = f"choosing {EXEMPLARS} exemplars of {len(prefixes)} candidates: seconds"
    return Line(what, f"{seconds:.1f} s", "", seconds, 10, at_least=False)


def state() -> Line:
    method, period = ader(), week(0)
    method.update(Task(0, period, Past([]), dict), Fitter(CPU, generator(), "32-true"))
    file = io.BytesIO()
    torch.save(method.state_dict(), file)
    megabytes = len(file.getvalue()) / 1e6
    return Line("state kept after a cycle of ADER: MB", f"{megabytes:.0f} MB", "", megabytes, 150, at_least=False)


def cycles() -> None:
    """Two cycles of one epoch each, the second with exemplars and a teacher."""
    method = ader()
    for index in (0, 1):
        past = Past([lambda: week(0)]) if index else Past([])
        method.update(Task(index, week(index), past, dict), Fitter(CPU, generator(), "32-true"))


def ader() -> ADER:
    return ADER(
        backbone=backbone(),
        learner=NextItemLearner(
            inputs="period",
            adam="carried",
            learning_rate=5e-4,
            batch_size=BATCH,
            epochs=1,
            patience=5,
            validation=0.1,
            validation_k=20,
        ),
        memory=Memory(size=EXEMPLARS, quotas="proportional", selection="herding"),
        reads="new",
        start="warm",
        distil=True,
        weight=0.8,
        weight_adapts=True,
    )


def backbone() -> AderSASRec:
    torch.manual_seed(0)
    return AderSASRec(
        vocabulary=Vocabulary.of(n_users=1, n_items=ITEMS), embedding_size=SIZE, blocks=2, longest=LONGEST, dropout=0.3
    )


def week(index: int) -> Period:
    return Period(index, str(index), Week(index))


class Week(Rows):
    """Reads the clicks of a week, of which nothing is asked."""

    def __init__(self, index: int) -> None:
        self._index = index

    def interactions(self) -> Interactions:
        return clicks(self._index)

    def questions(self) -> TestSet:
        raise NotImplementedError

    def valid(self) -> None:
        return None


def sessions() -> Prefixes:
    return prefixes_of(clicks(0)).with_input()


def clicks(seed: int) -> Interactions:
    """Sessions of 2 clicks and more, about 4.8 on average, and some items far more often than others."""
    numbers = generator(seed)
    length = 2 + torch.empty(CLICKS).geometric_(0.26, generator=numbers).long() - 1
    length = length[: int((length.cumsum(0) <= CLICKS).sum())]
    item = (torch.rand(int(length.sum()), generator=numbers) ** 2 * ITEMS).long()
    return Interactions(torch.repeat_interleave(length), item)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
