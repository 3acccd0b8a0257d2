"""How sessions become batches, what is held out, and what a stream of exemplars brings to each step."""

from itertools import islice

import pytest
import torch
from contract import CPU, learn, maker, tasks

from recretrain.data.prefixes import prefixes_of
from recretrain.data.stream import Interactions
from recretrain.methods.ader import exemplar_stream
from recretrain.methods.next_item import PrefixBatches


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def sessions(lengths: list[int]):
    session = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    return prefixes_of(Interactions(session, torch.arange(sum(lengths))))


def test_an_epoch_takes_every_prefix_once():
    batches = PrefixBatches(sessions([3, 4, 2]), 4, 50, generator(), None)

    epoch = list(batches)

    assert len(batches) == 2
    assert sorted(label for _, _, labels in epoch for label in labels.tolist()) == [1, 2, 4, 5, 6, 8]
    assert [labels.tolist() for _, _, labels in batches] != [labels.tolist() for _, _, labels in epoch]


def test_a_session_of_one_click_counts_as_an_entry_and_trains_nothing():
    batches = PrefixBatches(sessions([1, 1, 1, 2]), 2, 50, generator(), None)

    assert len(batches) == 2
    assert [labels.tolist() for _, _, labels in batches] == [[4]]


def test_exemplars_come_in_equal_parts_and_begin_anew_when_used_up():
    exemplars = sessions([8])  # seven entries

    stream = exemplar_stream(exemplars, 50, [torch.arange(7)], generator())(3)
    parts = [part.tolist() for _, _, _, part in islice(stream, 8)]

    assert [len(part) for part in parts] == [2, 2, 2, 1, 2, 2, 2, 1]
    for round_ in (parts[:4], parts[4:]):
        assert {entry for part in round_ for entry in part} == set(range(7))


def test_a_tenth_of_the_prefixes_is_held_out(tmp_path):
    make = maker("session_fine_tune")
    method = make(make.stream(tmp_path / "s"))
    prefixes = sessions([101])

    train, held_out = method._split(prefixes, torch.ones(100, dtype=torch.bool), generator())

    assert (len(train), len(held_out)) == (90, 10)
    assert sorted(train.labels.tolist() + held_out.labels.tolist()) == prefixes.labels.tolist()


@pytest.mark.parametrize(("start", "labels"), [("warm", {4, 5}), ("cold", {2, 3, 4, 5})])
def test_only_what_the_weights_have_not_met_is_held_out(tmp_path, start, labels):
    """Of everything so far, learned again: warm weights were fitted to the older prefixes, cold ones to none."""
    parts = [([0, 1], [0, 1]), ([0, 1] * 20, [2, 3] * 20), *[([0, 1] * 20, [4, 5] * 20)] * 5]
    make = maker("session_joint", start=start, validation=0.5)
    stream = make.stream(tmp_path / "s", parts)
    (_, task, *_) = tasks(stream)  # learns period 2
    method = make(stream)

    prefixes, unmet = method._prefixes(task)
    train, held_out = method._split(prefixes, unmet, generator())

    assert set(held_out.labels.tolist()) == labels
    assert sorted([*train.labels.tolist(), *held_out.labels.tolist()]) == sorted(prefixes.labels.tolist())
    assert len(held_out) == (20 if start == "warm" else len(prefixes) // 2)


def test_only_the_soft_max_of_known_items_moves_the_table(tmp_path):
    """Items that have not appeared keep their first weights, as if they were not there."""
    parts = [([0, 0, 1, 1, 2, 2] * 3, [0, 1, 2, 3, 4, 5] * 3), *[([0, 0, 1, 1], [1, 2, 3, 4])] * 6]
    make = maker("session_fine_tune")
    stream = make.stream(tmp_path / "s", parts)
    method = make(stream)
    first = method.model.item.detach().clone()

    for task in tasks(stream):
        learn(method, task)

    assert method.known == 6
    assert torch.equal(method.model.item[6:], first[6:])
    assert not torch.equal(method.model.item[:6], first[:6])


def test_with_inputs_of_the_past_a_history_goes_on_over_the_border(tmp_path):
    parts = [([0, 1], [0, 1]), ([0, 1], [2, 3]), *[([0, 1], [4, 5])] * 5]
    stream = maker("session_fine_tune").stream(tmp_path / "s", parts)
    (_, task, *_) = tasks(stream)  # learns period 2

    across, _ = maker("session_fine_tune", inputs="past")(stream)._prefixes(task)
    within, _ = maker("session_fine_tune")(stream)._prefixes(task)

    assert across.histories(9).tolist() == [[0, 2], [1, 3]]
    assert across.labels.tolist() == [4, 5]
    assert within.with_input().labels.tolist() == []


def test_the_best_weights_are_served_not_the_last(tmp_path, monkeypatch):
    measured = iter([0.5, 0.1, 0.1])
    make = maker("session_fine_tune", epochs=3, patience=9)
    stream = make.stream(tmp_path / "s")
    method = make(stream)
    monkeypatch.setattr(method, "_recall", lambda test, fit: next(measured))
    weights = []
    task = tasks(stream)[0]
    original = method.stopping.__class__.__call__

    def watched(self, model, optimizer, *, epoch, measure):
        def noted():
            epoch()
            weights.append(model.item.detach().clone())

        return original(self, model, optimizer, epoch=noted, measure=measure)

    monkeypatch.setattr(method.stopping.__class__, "__call__", watched)
    learn(method, task)

    assert len(weights) == 3
    assert torch.equal(method.model.item, weights[0])
    assert method.model.device == CPU
