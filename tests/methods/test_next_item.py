"""How sessions become batches, what is held out, and what a stream of exemplars brings to each step."""

from itertools import islice

import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.data.prefixes import joined, prefixes_of
from recretrain.data.stream import Period
from recretrain.methods.ader import exemplar_stream
from recretrain.methods.learners import next_item
from recretrain.methods.learners.base import Lesson
from recretrain.methods.learners.next_item import NextItemLearner, PrefixBatches
from recretrain.methods.parts.early_stopping import EarlyStopping
from recretrain.testing.contract import CPU, case, learn


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def sessions(lengths: list[int]):
    session = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return prefixes_of(Interactions(session, torch.arange(sum(lengths))))


def test_an_epoch_takes_every_prefix_once():
    batches = PrefixBatches(sessions([3, 4, 2]), 4, 50, generator(), None)

    epoch = list(batches)

    assert len(batches) == 2
    assert sorted(label for batch in epoch for label in batch.label.tolist()) == [1, 2, 4, 5, 6, 8]
    assert [batch.label.tolist() for batch in batches] != [batch.label.tolist() for batch in epoch]
    assert all(batch.exemplars is None for batch in epoch)


def test_a_session_of_one_click_counts_as_an_entry_and_trains_nothing():
    batches = PrefixBatches(sessions([1, 1, 1, 2]), 2, 50, generator(), None)

    assert len(batches) == 2
    assert [batch.label.tolist() for batch in batches] == [[4]]


def test_exemplars_come_in_equal_parts_and_begin_anew_when_used_up():
    exemplars = sessions([8])  # seven entries

    stream = exemplar_stream(exemplars, 50, torch.arange(7), generator())(3)
    parts = [part.answer.tolist() for part in islice(stream, 8)]

    assert [len(part) for part in parts] == [2, 2, 2, 1, 2, 2, 2, 1]
    for round_ in (parts[:4], parts[4:]):
        assert {entry for part in round_ for entry in part} == set(range(7))


def learner(**changes) -> NextItemLearner:
    options = {"inputs": "period", "adam": "carried", "learning_rate": 0.01, "batch_size": 8, "epochs": 1}
    return NextItemLearner(**{**options, "patience": 1, "validation": 0.1, "validation_k": 20, **changes})


def lesson(*slices, whole: bool = False, cold: bool = False) -> Lesson:
    """The last slice is new, those before it are the past."""
    *past, new = (Period(n, str(n), Given(*columns)) for n, columns in enumerate(slices))
    return Lesson(new, past, whole=whole, cold=cold)


class Given:
    """Rows of a period, as they are given."""

    def __init__(self, users: list[int], items: list[int]) -> None:
        self.rows = Interactions(torch.tensor(users), torch.tensor(items))

    def interactions(self) -> Interactions:
        return self.rows


class Drawing:
    """A fit as far as random numbers and the device go."""

    device = CPU

    def __init__(self) -> None:
        self.generator = generator()


def test_a_tenth_of_the_prefixes_is_held_out():
    found = learner().split(lesson(([0] * 101, list(range(101)))), Drawing())

    assert (len(found.train), len(found.held_out)) == (90, 10)
    assert sorted(found.train.labels.tolist() + found.held_out.labels.tolist()) == list(range(1, 101))


def test_items_are_known_up_to_the_newest_ever_and_before_it_up_to_the_last_lesson():
    taught, fit = learner(), Drawing()
    slices = ([0, 0], [3, 1]), ([0, 0], [7, 2]), ([0, 0], [4, 5])

    found = [taught.split(lesson(each), fit) for each in slices]

    assert [(split.before, split.known) for split in found] == [(0, 4), (4, 8), (8, 8)]
    assert taught.state_dict()["known"] == 8


def test_new_moments_are_begun_with_each_split_and_carried_ones_are_not():
    model = torch.nn.Linear(1, 1)
    for adam, kept in (("carried", True), ("new", False)):
        taught = learner(adam=adam)
        optimizer = taught.adam.over(model)

        taught.split(lesson(([0, 0], [0, 1])), Drawing())

        assert (taught.adam.over(model) is optimizer) == kept


@pytest.mark.parametrize(("start", "labels"), [("warm", {4, 5}), ("cold", {2, 3, 4, 5})])
def test_only_what_the_weights_have_not_met_is_held_out(start, labels):
    """Of everything so far, learned again: warm weights were fitted to the older prefixes, cold ones to none."""
    slices = [([0, 1], [0, 1]), ([0, 1] * 20, [2, 3] * 20), ([0, 1] * 20, [4, 5] * 20)]
    everything = lesson(*slices, whole=True, cold=start == "cold")

    found = learner(validation=0.5).split(everything, Drawing())

    assert set(found.held_out.labels.tolist()) == labels
    every = [2] * 20 + [3] * 20 + [4] * 20 + [5] * 20
    assert sorted([*found.train.labels.tolist(), *found.held_out.labels.tolist()]) == every
    assert len(found.held_out) == (20 if start == "warm" else 40)


def test_only_the_soft_max_of_known_items_moves_the_table(tmp_path):
    """Items that have not appeared keep their first weights, as if they were not there."""
    slices = [([0, 0, 1, 1, 2, 2] * 3, [0, 1, 2, 3, 4, 5] * 3), *[([0, 0, 1, 1], [1, 2, 3, 4])] * 6]
    tuned = case("session_fine_tune", "eval=prefixes")
    stream = tuned.stream(tmp_path / "s", slices)
    method = tuned.method(stream)
    first = method.backbone.item.detach().clone()

    for task in tuned.tasks(stream):
        learn(method, task)

    assert method.learner.known == 6
    assert torch.equal(method.backbone.item[6:], first[6:])
    assert not torch.equal(method.backbone.item[:6], first[:6])


def test_with_inputs_of_the_past_a_history_goes_on_over_the_border():
    slices = ([0, 1], [0, 1]), ([0, 1], [2, 3]), ([0, 1], [4, 5])
    half = {"validation": 0.5}

    across = learner(inputs="past", **half).split(lesson(*slices), Drawing())
    within = learner(**half).split(lesson(*slices), Drawing())

    both = joined([across.train, across.held_out])
    found = dict(zip(both.labels.tolist(), both.histories(9).tolist(), strict=True))
    assert found == {4: [0, 2], 5: [1, 3]}
    assert joined([within.train, within.held_out]).with_input().labels.tolist() == []


def test_the_best_weights_are_served_not_the_last(tmp_path, monkeypatch):
    measured = iter([0.5, 0.1, 0.1])
    tuned = case("session_fine_tune", "eval=prefixes", "method.learner.epochs=3", "method.learner.patience=9")
    stream = tuned.stream(tmp_path / "s")
    method = tuned.method(stream)
    monkeypatch.setattr(next_item, "recall", lambda rank, k: torch.tensor(next(measured)))
    weights = []
    task = tuned.tasks(stream)[0]
    original = EarlyStopping.__call__

    def watched(self, model, optimizer, *, epoch, measure, note):
        def noted():
            epoch()
            weights.append(model.item.detach().clone())

        return original(self, model, optimizer, epoch=noted, measure=measure, note=note)

    monkeypatch.setattr(EarlyStopping, "__call__", watched)
    learn(method, task)

    assert len(weights) == 3
    assert torch.equal(method.backbone.item, weights[0])
    assert method.backbone.device == CPU
