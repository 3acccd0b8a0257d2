import pytest

from recretrain.data.schedule import NextPeriod
from recretrain.errors import ConfigError, DataError
from recretrain.testing.streams import open_stream, tasteful_slices, write_stream


def schedule(**changes):
    options = {"start": 2, "first_test": 5, "choosing": 2, "warm_up": "start", "last_test": None, "again": 0, **changes}
    return NextPeriod(**options)


@pytest.fixture
def stream(tmp_path):
    slices = tasteful_slices(9, 30, n_users=10, n_items=60)
    return open_stream(write_stream(tmp_path / "s", slices, n_users=10, n_items=60), candidates=5)


def beats(stream, **changes):
    """(periods learned, role and period answered) of every task."""
    answers = []
    for make in schedule(**changes).tasks(stream, lambda what, rows: None):
        task = make()
        tests = {name: test.period for name, test in task.tests().items()}
        answers.append((task.period.name, tests))
    return answers


def test_each_task_learns_a_period_and_answers_the_next(stream):
    assert beats(stream) == [
        ("0..1", {}),
        ("2", {}),
        ("3", {}),
        ("4", {"choosing": 5}),
        ("5", {"choosing": 6}),
        ("6", {"test": 7}),
        ("7", {"test": 8}),
    ]


def test_a_longer_warm_up_ends_with_the_last_period_but_one_before_the_tests(stream):
    assert beats(stream, warm_up="tests")[:2] == [("0..3", {}), ("4", {"choosing": 5})]
    assert beats(stream, warm_up=3)[:2] == [("0..2", {}), ("3", {})]


def test_the_newest_tested_periods_that_were_learned_are_asked_again(stream):
    """First period 7 is answered; it is among the learned ones once the task after that has learned it."""
    for again, expected in ((0, [[], []]), (1, [[], [7]]), (5, [[], [7]])):
        *_, before, last = (make() for make in schedule(again=again).tasks(stream, lambda what, rows: None))
        assert [[test.period for test in task.again()] for task in (before, last)] == expected

    tasks = [make() for make in schedule(again=2, choosing=0).tasks(stream, lambda what, rows: None)]
    assert [[test.period for test in task.again()] for task in tasks] == [[], [], [], [], [5], [5, 6], [6, 7]]


def test_a_run_can_end_early(stream):
    assert beats(stream, last_test=6)[-1] == ("5", {"choosing": 6})


def test_choosing_and_tested_periods_never_overlap(stream):
    roles = schedule().roles(stream)

    assert (list(roles["choosing"]), list(roles["test"])) == ([5, 6], [7, 8])


def test_a_task_has_exactly_the_earlier_periods_at_hand(stream):
    *_, last = schedule().tasks(stream, lambda what, rows: None)

    assert [period.index for period in last().past] == list(range(7))


def test_what_is_read_is_counted_and_reading_nothing_counts_nothing(stream):
    read = {}
    makers = schedule().tasks(stream, read.__setitem__)

    task = makers[3]()
    assert read == {}
    assert len(task.period.train) == 30
    assert len(task.past[0].train) == 30 + 10 + 60
    assert task.past[-1].questions.candidates.shape == (30, 5)

    assert read == {"4/rows": 30, "0/rows": 100, "3/rows": 30}


def test_groups_mark_ids_unseen_before_the_tested_period(tmp_path):
    slices = [([0, 1], [0, 1]), ([2, 0], [0, 2]), ([1, 2], [2, 3])]
    stream = open_stream(write_stream(tmp_path / "s", slices, n_users=3, n_items=4), candidates=None)

    questions = stream.questions(1)

    assert questions.groups["new_user"].tolist() == [True, False]
    assert questions.groups["new_item"].tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 0}, "warm-up block of 0 periods"),
        ({"start": 6}, "must hold at least one and end before schedule.first_test=5"),
        ({"last_test": 4}, "schedule.last_test=4 ends the run before"),
    ],
)
def test_an_impossible_schedule_names_the_key_and_the_cure(changes, message):
    with pytest.raises(ConfigError, match=message):
        schedule(**changes)


def test_a_stream_that_ends_before_the_tests_names_the_key_and_the_cure(stream):
    with pytest.raises(DataError, match=r"schedule.first_test=9 but tiny has periods 0..8; lower schedule.first_test"):
        schedule(first_test=9).tasks(stream, lambda what, rows: None)
