"""Settings of a run on a small table of one's own, with which several rooms of tests begin; rows without a stream."""

from recretrain.data.interactions import Interactions
from recretrain.data.kinds import TestSet
from recretrain.data.stream import Rows

TINY = [
    "data=table",
    "data.name=tiny",
    "schedule=next_period",
    "data.cut.periods=7",
    "schedule.start=2",
    "schedule.first_test=4",
    "schedule.choosing=1",
    "eval.questions.candidates=10",
    "trainer.progress=false",
    "trainer.threads=1",
]


class Unread(Rows):
    """Rows of a period that nobody reads."""

    def interactions(self) -> Interactions:
        raise AssertionError("they are read")

    def questions(self) -> TestSet:
        raise AssertionError("they are read")
