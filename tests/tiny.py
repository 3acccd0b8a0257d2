"""The settings of a run on a small table of one's own, which several rooms of tests begin with."""

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
