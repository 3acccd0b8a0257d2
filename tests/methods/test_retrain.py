"""What is read, where a fit starts, and who fits the first task: every combination, on a learner that takes notes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from recretrain.backbones.base import Backbone
from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Questions
from recretrain.data.schedule import Task
from recretrain.data.stream import Past, Period
from recretrain.errors import ConfigError
from recretrain.methods.learners.base import Learner, Lesson
from recretrain.methods.retrain import Retrain

CPU = torch.device("cpu")


class One(Backbone):
    """One weight; drawn anew it is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def draw(self, generator: torch.Generator | None) -> None:
        with torch.no_grad():
            self.weight.zero_()

    def score(self, questions: Questions) -> Tensor:
        return self.weight.expand(len(questions.user), 1)


class Other(One):
    """A backbone of another kind."""


class Noting(Learner[One]):
    """Adds 1 to the weight; notes what it read and the weight it began with."""

    trains = One
    kept = ("fits",)

    def __init__(self, name: str, notes: list) -> None:
        self.name = name
        self.notes = notes
        self.fits = 0

    def fit(self, backbone: One, lesson: Lesson, fit: Fit) -> None:
        self.fits += 1
        self.notes.append((self.name, lesson.rows().item.tolist(), lesson.cold, backbone.weight.item()))
        with torch.no_grad():
            backbone.weight += 1

    def renew(self) -> None:
        self.notes.append((self.name, "renewed"))

    def meet(self, backbone: One, period: Period) -> None:
        self.notes.append((self.name, "met", period.train.item.tolist()))


class OtherNoting(Noting):
    trains = Other


class Fit:
    """Notes what is shared between runs."""

    device = CPU

    def __init__(self, notes: list) -> None:
        self.generator = torch.Generator()
        self.notes = notes

    def once(self, name: str, backbone: Backbone, train: Callable[[], None]) -> None:
        self.notes.append(("once", name))
        train()


class Given:
    """A period whose only row is item `index` of user 0."""

    def __init__(self, index: int) -> None:
        self.index = index

    def interactions(self) -> Interactions:
        return Interactions(torch.tensor([0]), torch.tensor([self.index]))


def periods(n: int, read: list[int] | None = None) -> list[Period]:
    seen = [] if read is None else read
    return [Period(index, str(index), Given(index), lambda what, rows, i=index: seen.append(i)) for index in range(n)]


def notes_of(*, reads: str, start: str, learner: bool = True, pretraining: bool = False) -> tuple[list, Retrain]:
    """Learn periods 0, 1 and 2."""
    notes: list = []
    method = Retrain(
        backbone=One(),
        learner=Noting("learner", notes) if learner else None,
        pretraining=Noting("pretraining", notes) if pretraining else None,
        reads=reads,
        start=start,
    )
    for index in range(3):
        past = Past([lambda p=p: periods(3)[p] for p in range(index)])
        method.update(Task(index, periods(3)[index], past, dict), Fit(notes))
    return notes, method


RENEWED = ("learner", "renewed")


def fitted(items: list[int], cold: bool, weight: float) -> tuple:
    return ("learner", items, cold, weight)


@pytest.mark.parametrize(
    ("reads", "start", "expected"),
    [
        ("new", "warm", [fitted([0], False, 0), fitted([1], False, 1), fitted([2], False, 2)]),
        ("all", "warm", [fitted([0], False, 0), fitted([0, 1], False, 1), fitted([0, 1, 2], False, 2)]),
        ("first", "warm", [fitted([0], False, 0)]),
        ("new", "cold", [RENEWED, fitted([0], True, 0), RENEWED, fitted([1], True, 0), RENEWED, fitted([2], True, 0)]),
        (
            "all",
            "cold",
            [RENEWED, fitted([0], True, 0), RENEWED, fitted([0, 1], True, 0), RENEWED, fitted([0, 1, 2], True, 0)],
        ),
        ("first", "cold", [RENEWED, fitted([0], True, 0)]),
    ],
)
def test_what_is_read_and_where_a_fit_starts(reads, start, expected):
    notes, method = notes_of(reads=reads, start=start)

    assert notes == expected
    assert method.backbone.weight.item() == (len([n for n in expected if n is not RENEWED]) if start == "warm" else 1)


PRETRAINED = [
    ("learner", "met", [0]),
    ("once", "pretraining"),
    ("pretraining", [0], False, 0.0),
    ("pretraining", "renewed"),
]


@pytest.mark.parametrize(
    ("reads", "start", "later"),
    [
        ("new", "warm", [fitted([1], False, 1), fitted([2], False, 2)]),
        ("all", "warm", [fitted([0, 1], False, 1), fitted([0, 1, 2], False, 2)]),
        ("all", "cold", [RENEWED, fitted([0, 1], True, 0), RENEWED, fitted([0, 1, 2], True, 0)]),
        ("first", "warm", []),
        ("first", "cold", []),
    ],
)
def test_with_pretraining_it_fits_the_first_task_once_for_all_runs(reads, start, later):
    notes, _ = notes_of(reads=reads, start=start, pretraining=True)

    assert notes == [*PRETRAINED, *later]


def test_without_a_learner_pretraining_is_all_there_is():
    notes, method = notes_of(reads="first", start="warm", learner=False, pretraining=True)

    assert notes == PRETRAINED[1:]
    assert method.backbone.weight.item() == 1
    assert method.state_dict().keys() == {"backbone", "pretraining"}


def test_only_what_is_read_is_looked_at():
    for reads, expected in (("new", [1]), ("all", [0, 1]), ("first", [])):
        read: list[int] = []
        past, today = periods(2, read)
        method = Retrain(backbone=One(), learner=Noting("learner", []), pretraining=None, reads=reads, start="warm")

        method.update(Task(1, today, Past([lambda p=past: p]), dict), Fit([]))

        assert read == expected


@pytest.mark.parametrize(("reads", "pretraining"), [("new", True), ("all", True), ("first", False), ("new", False)])
def test_a_task_without_anything_to_fit_with_is_refused(reads, pretraining):
    with pytest.raises(ConfigError, match=r"method\.learner=null has nothing to fit with; .* or method\.reads=first"):
        notes_of(reads=reads, start="warm", learner=False, pretraining=pretraining)


def test_a_backbone_that_a_learner_cannot_fit_is_refused():
    other, own = OtherNoting("learner", []), Noting("learner", [])
    message = "OtherNoting trains a backbone of kind Other, not One; leave `backbone=` out or give another"

    for learner, pretraining in ((other, None), (own, other)):
        with pytest.raises(ConfigError, match=message):
            Retrain(backbone=One(), learner=learner, pretraining=pretraining, reads="new", start="warm")
    Retrain(backbone=Other(), learner=other, pretraining=own, reads="new", start="warm")


def test_learners_are_parts_of_the_state():
    _, method = notes_of(reads="new", start="warm", pretraining=True)

    state = method.state_dict()

    assert state.keys() == {"backbone", "learner", "pretraining"}
    assert (state["learner"], state["pretraining"]) == ({"fits": 2}, {"fits": 1})
