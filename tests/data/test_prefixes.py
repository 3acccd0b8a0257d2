"""Prefixes of sequences, and the questions that are made of them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.data.prefixes import Prefixes, by_user, joined, order_of_sequences, prefixes_of
from recretrain.data.questions import SessionPrefixes
from recretrain.data.stream import Stream
from recretrain.testing.streams import open_stream, write_stream

# sessions, in the order of their clicks: 7 has items 1, 2, 3; 8 has 4; 9 has 5, 6
CLICKS = Interactions(torch.tensor([7, 9, 7, 8, 9, 7]), torch.tensor([1, 5, 2, 4, 6, 3]))


def entries(prefixes: Prefixes) -> set[tuple[tuple[int, ...], int]]:
    spans = zip(prefixes.start.tolist(), prefixes.stop.tolist(), strict=True)
    return {(tuple(prefixes.items[a:b].tolist()), int(prefixes.items[b])) for a, b in spans}


def test_every_item_but_the_first_is_a_label_and_a_single_one_has_no_input():
    prefixes = prefixes_of(CLICKS)

    assert entries(prefixes) == {((1,), 2), ((1, 2), 3), ((), 4), ((5,), 6)}
    assert entries(prefixes.with_input()) == {((1,), 2), ((1, 2), 3), ((5,), 6)}


def test_positions_are_those_of_the_rows_by_user():
    prefixes = prefixes_of(CLICKS)

    assert by_user(CLICKS).user[prefixes.stop].tolist() == [7, 7, 8, 9]


def test_a_sequence_is_a_session_of_one_user_where_rows_have_sessions():
    """User 7 has session 0 with 1, 3 and session 1 with 2; another session 0 is of user 9."""
    rows = Interactions(CLICKS.user, CLICKS.item, {"session": torch.tensor([0, 0, 1, 0, 0, 0])})

    prefixes = prefixes_of(rows)

    assert entries(prefixes) == {((1,), 3), ((), 2), ((), 4), ((5,), 6)}
    assert rows.rows(order_of_sequences(rows)).item[prefixes.stop].tolist() == prefixes.labels.tolist()


def test_entries_know_their_user():
    prefixes = prefixes_of(CLICKS)
    some = prefixes.at(torch.tensor([1, 3]))

    assert prefixes.user.tolist() == [7, 7, 8, 9]
    assert some.compact(1).user.tolist() == [7, 9]
    assert joined([some, prefixes]).user.tolist() == [7, 9, 7, 7, 8, 9]
    assert some.inputs(1)[1].tolist() == [7, 9]


def test_histories_end_with_the_newest_item():
    prefixes = prefixes_of(CLICKS)

    assert prefixes.histories(5).tolist() == [[-1, 1], [1, 2], [-1, -1], [-1, 5]]
    assert prefixes.histories(1).tolist() == [[1], [2], [-1], [5]]


def test_compact_entries_are_the_same_entries_cut_to_their_last_items():
    some = prefixes_of(CLICKS).at(torch.tensor([1, 3]))

    assert entries(some.compact(5)) == {((1, 2), 3), ((5,), 6)}
    assert entries(some.compact(1)) == {((2,), 3), ((5,), 6)}
    assert some.compact(1).items.tolist() == [2, 3, 5, 6]


def test_joined_entries_keep_their_own_items():
    both = joined([prefixes_of(CLICKS), prefixes_of(CLICKS).at(torch.tensor([1])).compact(5)])

    assert both.labels.tolist() == [2, 3, 4, 6, 3]
    assert both.histories(5).tolist()[-1] == [1, 2]


# period 0: items 0-3 are met; period 1: session 4 has 0, 9 (new), 1; session 5 has 9, 2; session 6 has 3, 3
SESSIONS = [([0, 1, 2, 3], [0, 1, 2, 3]), ([4, 5, 4, 6, 4, 5, 6], [0, 9, 9, 3, 1, 2, 3])]


@pytest.fixture
def sessions(tmp_path) -> Stream:
    folder = write_stream(tmp_path / "s", SESSIONS, n_users=7, n_items=10)
    return Stream(folder, SessionPrefixes(history=3))


def test_a_prefix_question_knows_nothing_of_items_that_are_new_in_its_period(sessions):
    test = sessions.questions(1)

    assert test.catalogue.tolist() == [0, 1, 2, 3]
    assert test.user.tolist() == [4, 6]
    assert test.labels.tolist() == [1, 3]  # of session 4 the new item is cut out, of session 5 one click is left
    assert test.history.tolist() == [[0], [3]]
    assert test.seen is None  # an item of the session may be the answer again


def test_a_prefix_question_looks_into_its_own_session_alone(tmp_path):
    """User 0 has two sessions in period 1: 0, 1 and then 2, 3."""
    folder = write_stream(
        tmp_path / "s", [([0, 1, 1, 0], [0, 1, 2, 3]), ([0, 0, 0, 0], [0, 1, 2, 3])], n_users=2, n_items=4
    )
    file = folder / "period_001.parquet"
    pq.write_table(pq.read_table(file).append_column("session", pa.array([0, 0, 1, 1], pa.int64())), file)

    test = Stream(folder, SessionPrefixes(history=3)).questions(1)

    assert (test.user.tolist(), test.labels.tolist(), test.history.tolist()) == ([0, 0], [1, 3], [[0], [2]])


def test_a_prefix_question_is_ranked_among_the_items_of_its_periods_space(tmp_path):
    slices = [([0, 0, 0], [0, 1, 2]), ([1, 1], [5, 6]), ([2, 2, 2], [0, 3, 2])]  # films, ages, films
    spaces = {"films": range(5), "ages": range(5, 7)}
    folder = write_stream(tmp_path / "s", slices, n_users=3, n_items=7, spaces=spaces)

    test = Stream(folder, SessionPrefixes(history=3)).questions(2)

    assert test.catalogue.tolist() == [0, 1, 2]
    assert test.labels.tolist() == [2]
    assert test.history.tolist() == [[0]]  # film 3 is new in the period


def test_the_history_of_a_user_ends_before_the_period(tmp_path):
    slices = [([0, 0, 1], [2, 3, 4]), ([0, 1, 2], [5, 6, 7])]
    stream = open_stream(write_stream(tmp_path / "s", slices, n_users=3, n_items=8), candidates=None, history=1)

    assert stream.questions(1).history.tolist() == [[3], [4], [-1]]
    assert stream.questions(0).history.tolist() == [[-1], [-1], [-1]]
