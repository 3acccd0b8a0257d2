"""CPU seconds of PeterRec: pre-training, tuning and answering, beside the plain ways, which give the same.

The released program is measured elsewhere: 0.341 CPU seconds a step of tuning, on another machine (peterrec.md, l).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from benchmarks import plain
from benchmarks.measure import Line, faster, interleaved
from recretrain.backbones.nextitnet import NextItNet
from recretrain.backbones.optimizers import DenseAdam, TensorFlowAdam
from recretrain.backbones.patches import PatchStyle
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Histories, Questions
from recretrain.data.stream import Period, Rows
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.evaluation.downstream import scored
from recretrain.methods.learners.base import Lesson
from recretrain.methods.learners.labels import Labelled, LabelObjective, LossOf, UserBatches, with_features
from recretrain.methods.learners.source import Cloze, SampledSoftmax, Softmax, SoftmaxLoss, SourceLearner, SourceLoss
from recretrain.methods.peterrec import PatchedTrunk

CPU = torch.device("cpu")
ITEMS, LABELS, SIZE, LONGEST, BATCH = 3_600, 500, 64, 60, 128  # source and task as of MovieLens 1M and QQ
RELEASED_STEP = 0.341  # CPU seconds of the released program: 128 rows, 26 positions, d 64, eight blocks, parallel
FOUR, EIGHT = (1, 4) * 2, (1, 4) * 4
SOURCE_ITEMS, SOURCE_USERS = 645_000, 2_000  # the paper's items


def lines() -> Iterator[Line]:
    yield last_position(FOUR, longest=60, rows=128, asked=2)
    yield last_position(EIGHT, longest=100, rows=64, asked=1.6)
    yield step()
    yield softmax()
    yield kept_vectors()
    yield labels_of_a_user()
    yield answering()


def last_position(dilations: tuple[int, ...], *, longest: int, rows: int, asked: float) -> Line:
    net = network(trunk(dilations, longest), released=False)
    history = torch.randint(ITEMS, (rows, longest), generator=generator())
    _alike(net.features(history), every_position(net, history))
    return faster(
        f"serial patches, {rows} x {longest + 1}, {len(dilations)} blocks: what the last position needs, against all",
        lambda: net.features(history).sum().backward(),
        lambda: every_position(net, history).sum().backward(),
        asked=asked,
        repetitions=9,
    )


def every_position(net: PatchedTrunk, history: Tensor) -> Tensor:
    """The vectors, by the states of all positions.  # [B, T] -> [B, d]"""
    closed = torch.nn.functional.pad(history, (0, 1), value=net.trunk.tcl)
    return net.trunk.states(closed, net.patches)[:, -1]


def step() -> Line:
    """As the released program was measured: parallel patches of d / 4, point-wise loss with L2."""
    tuning = Tuning(network(trunk(EIGHT, 25), released=True), rows(BATCH, 25), name="pointwise", l2=0.02)
    ours, _ = interleaved(tuning.step, lambda: None, 15)
    what = "tuning, a step of 128 x 26, 8 blocks, against the released program's time elsewhere"
    return Line(what, f"{1000 * ours:.3g} ms", f"{1000 * RELEASED_STEP:.3g} ms", RELEASED_STEP / ours, 5)


def softmax() -> Line:
    """A whole epoch; against our own full soft-max (`FullSoftmax`) it is less."""
    sampled, whole = Pretraining(None), Pretraining(plain.WholeSoftmax())
    return faster(
        f"pre-training, an epoch, {ITEMS} items, 512 sampled, against a plain soft-max of all",
        sampled.epoch,
        whole.epoch,
        asked=3,
        repetitions=3,
    )


def kept_vectors() -> Line:
    """The trunk is frozen and nothing stands before the head, so the vectors of all users are computed once."""
    given = rows(2048, LONGEST)
    net = network(trunk(FOUR, LONGEST), released=None)
    kept = Tuning(net, with_features(net, given), name="softmax", l2=0.0)
    computed = Tuning(net, given, name="softmax", l2=0.0)
    return faster(
        "fine_cls, an epoch of 2048 labels, from kept vectors, against the trunk each time",
        kept.epoch,
        computed.epoch,
        asked=20,
        repetitions=3,
    )


def labels_of_a_user() -> Line:
    """Users of three labels each; the histories of a user are equal."""
    few = rows(600, LONGEST)
    given = Labelled(*(column.repeat_interleave(3, 0) for column in (few.history, few.user, few.label, few.others)))
    given = replace(given, label=rows(len(given), LONGEST).label)
    net = network(trunk(FOUR, LONGEST), released=False)
    by_user, by_row = Tuning(net, given, name="softmax", l2=0.0), Tuning(net, given, name="softmax", l2=0.0)
    return faster(
        "tuning, an epoch of 600 users of 3 labels, batches of users, against rows in any order",
        lambda: by_user.epoch(users=True),
        by_row.epoch,
        asked=2,
        repetitions=3,
    )


def answering() -> Line:
    net = network(trunk(FOUR, LONGEST), released=False).eval()
    given, some = rows(2000, LONGEST), 100
    test = Histories(
        period=1,
        user=given.user,
        labels=given.label,
        candidates=_others(given.label, 99),
        catalogue=labels(),
        history=given.history,
    )
    ours = scored(Scores(net), test, CPU, keep=False)
    assert ours.sampled is not None

    def loop() -> list[tuple[int, int]]:
        return plain.rank_labels(net, partial(every_position, net), test, some)

    _alike(torch.stack([ours.sampled, ours.rank], 1)[:some], torch.tensor(loop()))
    line = faster(
        f"answering, 1 + 99 and all of {LABELS} labels, against a loop of rows",
        lambda: scored(Scores(net), test, CPU, keep=False),
        loop,
        asked=10,
        repetitions=3,
    )
    ratio = line.figure * len(test) / some
    return Line(line.what, f"{line.ours} / {len(test)}", f"{line.compared} / {some}", ratio, line.asked)


class Scores:
    """A network that answers as its method does."""

    def __init__(self, net: PatchedTrunk) -> None:
        self._net = net

    def score(self, questions: Questions) -> Tensor:
        assert questions.history is not None
        assert questions.catalogue is not None
        return self._net.scores(self._net.features(questions.history), questions.catalogue)


class Tuning:
    """The steps of a task."""

    def __init__(self, net: PatchedTrunk, given: Labelled, *, name: str, l2: float) -> None:
        adam = TensorFlowAdam(list(net.tuned().values()), learning_rate=1e-3)
        loss = LossOf(name, labels(), l2)  # type: ignore[arg-type]
        self._given = given
        self._objective = LabelObjective(net, adam, given, loss, generator(), None)
        self._adam = adam

    def step(self, batch: Tensor | None = None) -> None:
        self._adam.zero_grad()
        every = torch.arange(len(self._given)) if batch is None else batch
        self._objective.loss((every,)).backward()
        self._adam.step()

    def epoch(self, *, users: bool = False) -> None:
        shuffled = torch.randperm(len(self._given), generator=generator())
        by_row = ((part,) for part in torch.split(shuffled, BATCH))
        for (batch,) in UserBatches(self._given.user, BATCH, generator()) if users else by_row:
            self.step(batch)


class Pretraining:
    """Steps of pre-training on 400 users of 61 items."""

    def __init__(self, softmax: SoftmaxLoss | None) -> None:
        """None: ours, sampled."""
        self.trunk = trunk(FOUR, LONGEST)
        item = (torch.rand(400, LONGEST + 1, generator=generator()) ** 2 * ITEMS).long()
        user = torch.arange(400).repeat_interleave(LONGEST + 1)
        fit = Fitter(CPU, generator(), "32-true")
        rows = Interactions(user, item.flatten())
        self._windows, sampled = learner(SampledSoftmax(negatives=512)).prepare(self.trunk, rows, fit)
        self._adam = DenseAdam(list(self.trunk.parameters()), learning_rate=1e-3)
        self._objective = SourceLoss(self.trunk, self._adam, softmax or sampled, generator())

    def epoch(self) -> None:
        for batch in self._windows:
            loss = self._objective.loss(batch)
            assert loss is not None
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()


def pretrain() -> None:
    """An epoch of a source of the paper's number of items."""
    vocabulary = Vocabulary.of(n_users=SOURCE_USERS, n_items=SOURCE_ITEMS)
    source = Period(0, "source", Source())
    learner(SampledSoftmax(negatives=512)).fit(
        trunk(EIGHT, 50, vocabulary), Lesson(source, [], whole=False, cold=False), Fitter(CPU, generator(), "32-true")
    )


class Source(Rows):
    """Rows of users with fifty items each."""

    def interactions(self) -> Interactions:
        item = (torch.rand(SOURCE_USERS * 50, generator=generator()) ** 2 * SOURCE_ITEMS).long()
        return Interactions(torch.arange(SOURCE_USERS).repeat_interleave(50), item)

    def questions(self) -> Histories:
        raise NotImplementedError

    def valid(self) -> None:
        return None


def learner(softmax: Softmax) -> SourceLearner:
    cloze = Cloze(share=0.3, most=30, masked=0.8, random=0.1)
    return SourceLearner(
        softmax=softmax, cloze=cloze, learning_rate=1e-3, batch_size=64, epochs=1, min_count=1, optimizer="dense"
    )


def trunk(dilations: tuple[int, ...], longest: int, vocabulary: Vocabulary | None = None) -> NextItNet:
    space = torch.cat([torch.zeros(ITEMS, dtype=torch.long), torch.ones(LABELS, dtype=torch.long)])
    both = Vocabulary.of(n_users=1, n_items=ITEMS + LABELS, spaces=("source", "task"), item_space=space)
    made = NextItNet(
        vocabulary=vocabulary or both,
        embedding_size=SIZE,
        dilations=dilations,
        longest=longest,
        dropout=0.0,
        relu_output=False,
    )
    made.draw(generator())
    return made


def network(trunk: NextItNet, *, released: bool | None) -> PatchedTrunk:
    """With the released code's patches, with the paper's, or without any; the trunk is frozen."""
    style = PatchStyle(
        insertion="parallel" if released else "serial",
        inner_skip=True,
        reduction=4 if released else 8,
        activation="gelu" if released else "relu",
        tune_second_norm=True,
        zero_init=False,
    )
    net = PatchedTrunk(
        trunk.requires_grad_(False),
        labels(),
        patches=None if released is None else style,
        tunes=[],
        readout="tcl",
        of_source=False,
    )
    net.draw(trunk, generator())
    for weight in net.tuned().values():
        weight.requires_grad_(True)
    return net


def rows(count: int, longest: int) -> Labelled:
    """Labels of as many users."""
    numbers = generator()
    history = torch.randint(ITEMS, (count, longest), generator=numbers)
    label = ITEMS + torch.randint(LABELS, (count,), generator=numbers)
    return Labelled(history, torch.arange(count), label, label.new_empty(count, 0))


def labels() -> Tensor:
    return torch.arange(ITEMS, ITEMS + LABELS)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _others(label: Tensor, count: int) -> Tensor:
    drawn = torch.randint(LABELS - 1, (len(label), count), generator=generator()) + ITEMS
    return (drawn + (drawn >= label.unsqueeze(1))).to(torch.int32)


def _alike(ours: Tensor, theirs: Tensor) -> None:
    if not torch.allclose(ours.double(), theirs.double(), atol=1e-5):
        raise ValueError("the plain way gives other results")
