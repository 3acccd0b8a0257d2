"""Users per CPU second of MeLU's meta-training beside one user at a time, at ml-1m's size; what a whole run takes.

Users, films, fields and supports are drawn: 2,650 training users with 3 to 90 supports (36 on average), 10 queries.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks import plain
from benchmarks.measure import Line, Work, cpu_seconds, faster
from recretrain.backbones.content import ContentNet
from recretrain.data.batches import Columns
from recretrain.data.fields import Field, Fields
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Support, SupportedRatings
from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period, Rows
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.evaluation.ratings import predictions
from recretrain.methods.melu import EpisodeLearner, MeLU, MetaLoss, columns_of
from recretrain.methods.parts.adaptation import LocalUpdates

CPU = torch.device("cpu")
USERS, ITEMS = 6_040, 3_704
TRAINED, ASKED = 2_653, 6_907  # users of the warm state; episodes of all four


def lines() -> Iterator[Line]:
    yield training(1, asked=5)
    yield training(5, asked=3)
    yield whole_run()
    yield answering()


def training(steps: int, *, asked: float) -> Line:
    """An epoch of 20 batches of 32 users."""
    batches = _batches(640)
    one_by_one = plain.MetaTraining(net(), steps=steps, local_learning_rate=5e-6)
    few = 4

    def few_of_them() -> None:
        for batch in batches[:few]:
            one_by_one.step(*batch)

    line = faster(
        f"meta-training, {steps} local steps, against one user at a time",
        epoch(steps, 640),
        few_of_them,
        asked=asked,
        repetitions=3,
    )
    ratio = line.figure * len(batches) / few
    return Line(line.what, f"{line.ours} / {len(batches)}", f"{line.compared} / {few}", ratio, asked)


def epoch(steps: int, users: int) -> Work:
    """Meta-training on so many users, once."""
    method, batches = melu(steps, epochs=1), _batches(users)

    def work() -> None:
        optimizer = method.learner.adam.over(method.backbone)
        objective = MetaLoss(method.backbone, method.local, optimizer)
        for batch in batches:
            optimizer.zero_grad()
            objective.loss(batch).backward()  # type: ignore[arg-type]
            optimizer.step()

    return work


def _batches(users: int) -> list[tuple[Tensor, ...]]:
    return list(Columns(columns_of(episodes(users)), batch_size=32, generator=generator(), drop_last=True))


def whole_run() -> Line:
    method = melu(1, epochs=3)
    period = Period(0, "warm", Warm())
    fit = Fitter(CPU, generator(), "32-true")
    seconds = 10 * cpu_seconds(lambda: method.update(Task(0, period, Past([]), dict), fit))
    return Line("the paper's 30 epochs (3 measured): seconds", f"{seconds:.0f} s", "", seconds, 120, at_least=False)


def answering() -> Line:
    method, users = melu(1, epochs=1), episodes(ASKED)
    seconds = cpu_seconds(lambda: predictions(method, users, CPU))
    what = f"answering {ASKED} users of four states: seconds"
    return Line(what, f"{seconds:.1f} s", "", seconds, 20, at_least=False)


def run() -> None:
    """An epoch and an evaluation, for its memory."""
    training_time, asked = melu(1, epochs=1), episodes(ASKED)
    period = Period(0, "warm", Warm())
    training_time.update(Task(0, period, Past([]), dict), Fitter(CPU, generator(), "32-true"))
    predictions(training_time, asked, CPU)


def melu(steps: int, *, epochs: int) -> MeLU:
    return MeLU(
        backbone=net(),
        learner=EpisodeLearner(learning_rate=5e-5, batch_size=32, drop_last=True, epochs=epochs),
        local=LocalUpdates(steps=steps, learning_rate=5e-6, adapts="decisions", order="first", answer_steps=None),
        reads="new",
        start="warm",
    )


class Warm(Rows):
    """Reads the users of the warm state, all of them as questions."""

    def interactions(self) -> Interactions:
        return self.questions().rows()

    def questions(self) -> SupportedRatings:
        return episodes(TRAINED)

    def valid(self) -> None:
        return None


def net() -> ContentNet:
    torch.manual_seed(0)
    return ContentNet(
        vocabulary=Vocabulary.of(n_users=USERS, n_items=ITEMS, fields=fields()),
        embedding_size=32,
        hidden=[64, 64],
        reserve_unseen=False,
    )


def fields() -> Fields:
    """Sizes as in ml-1m with MeLU's film facts."""
    one = {"gender": 2, "age": 7, "occupation": 21, "zip": 3402}
    many = {"genre": (25, 3), "director": (2186, 1), "actor": (8030, 4)}
    numbers = generator()
    user = [Field(name, size, False, torch.randint(size, (USERS, 1), generator=numbers)) for name, size in one.items()]
    item = [Field("rate", 6, False, torch.randint(6, (ITEMS, 1), generator=numbers))]
    for name, (size, width) in many.items():
        item.append(Field(name, size, True, torch.randint(size, (ITEMS, width), generator=numbers)))
    return Fields(user=user, item=item)


def episodes(users: int) -> SupportedRatings:
    numbers = generator()
    length = (3 + 88 * torch.rand(users, generator=numbers) ** 1.7).long()
    known = torch.arange(int(length.max())) < length.unsqueeze(1)
    items = torch.randint(ITEMS, known.shape, generator=numbers)
    given = Support(torch.where(known, items, -1), torch.where(known, ratings(tuple(known.shape), numbers), 0.0))
    return SupportedRatings(
        period=0,
        user=torch.randint(USERS, (users,), generator=numbers),
        labels=ratings((users, 10), numbers),
        items=torch.randint(ITEMS, (users, 10), generator=numbers),
        support=given,
    )


def ratings(shape: tuple[int, ...], numbers: torch.Generator) -> Tensor:
    return torch.randint(1, 6, shape, generator=numbers).float()


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
