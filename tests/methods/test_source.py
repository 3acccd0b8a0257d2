"""Pre-training on a source: windows, what is guessed of them, and what never is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from recretrain.backbones.dilated import DilatedTrunk
from recretrain.backbones.grec import GRec
from recretrain.backbones.nextitnet import NextItNet
from recretrain.data.interactions import Interactions
from recretrain.data.vocabulary import Vocabulary
from recretrain.engine.fitter import Fitter
from recretrain.errors import DataError
from recretrain.methods.learners.source import (
    Cloze,
    FullSoftmax,
    InBatchSoftmax,
    SampledSoftmax,
    Softmax,
    SourceLearner,
    hidden_items,
    next_items,
    windows_of,
)

CPU = torch.device("cpu")
ITEMS, LONGEST = 30, 5
CLOZE = Cloze(share=0.3, most=30, masked=0.8, random=0.1)


def trunk(kind: type[DilatedTrunk] = NextItNet) -> DilatedTrunk:
    torch.manual_seed(0)
    return kind(
        vocabulary=Vocabulary.of(n_users=9, n_items=ITEMS),
        embedding_size=8,
        dilations=[1],
        longest=LONGEST,
        dropout=0.0,
        relu_output=False,
    ).eval()


def learner(softmax: Softmax | None = None, **changes: int) -> SourceLearner:
    values = {"learning_rate": 0.01, "batch_size": 4, "epochs": 1, "min_count": 1, **changes}
    return SourceLearner(softmax=softmax or FullSoftmax(), cloze=CLOZE, optimizer="dense", **values)


def fitter() -> Fitter:
    return Fitter(CPU, torch.Generator().manual_seed(0), "32-true")


def items_of(rows: Interactions, *, overlap: bool) -> list[list[int]]:
    windows = windows_of(rows, LONGEST, overlap=overlap)
    return [[item for item in row if item >= 0] for row in windows.histories(LONGEST + overlap).tolist()]


def test_windows_end_at_the_newest_item_and_every_item_but_the_first_is_guessed_once() -> None:
    rows = Interactions(torch.tensor([0] * 12 + [1] + [2] * 6), torch.arange(19))

    found = items_of(rows, overlap=True)

    assert found == [[6, 7, 8, 9, 10, 11], [1, 2, 3, 4, 5, 6], [0, 1], [13, 14, 15, 16, 17, 18]]
    assert sorted(label for window in found for label in window[1:]) == [*range(1, 12), *range(14, 19)]
    assert items_of(rows, overlap=False) == [
        [7, 8, 9, 10, 11], [2, 3, 4, 5, 6], [0, 1], [12], [14, 15, 16, 17, 18], [13],
    ]  # fmt: skip


def test_next_items_are_guessed_where_both_are_there_and_the_label_is_known() -> None:
    model = trunk()
    model.known[7] = False
    items = torch.tensor([[-1, -1, 3, 7, 4, 5], [1, 2, 3, 4, 5, 6]])

    guess = next_items(model, items)

    unknown = model.tcl + 1
    pairs = zip(guess.tokens[guess.at].tolist(), guess.label.tolist(), strict=True)
    assert list(pairs) == [
        (unknown, 4), (4, 5), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6),
    ]  # fmt: skip


def test_hidden_items_are_known_ones_and_of_each_the_stated_share() -> None:
    model = trunk(GRec)
    model.known[:3] = False
    random = torch.Generator().manual_seed(0)
    items = torch.randint(ITEMS, (4000, 20), generator=random)
    items[:1000, :15] = -1

    guess = hidden_items(model, items, CLOZE, random)

    row, column = guess.at
    count = torch.bincount(row, minlength=4000)
    enough = ((items >= 0) & model.known[items.clamp(min=0)]).sum(1) >= 6
    assert set(count[1000:][enough[1000:]].tolist()) == {6}  # 0.3 of 20
    assert set(count[:1000].tolist()) <= {1, 2}
    assert torch.equal(guess.label, items[row, column])
    assert bool(model.known[guess.label].all())
    shown = guess.tokens[row, column]
    masked, kept = (shown == model.tcl).float().mean(), (shown == guess.label).float().mean()
    assert masked.item() == pytest.approx(0.8, abs=0.01)
    assert kept.item() == pytest.approx(0.1 + 0.1 / 27, abs=0.01)
    rest = torch.ones(items.shape, dtype=torch.bool)
    rest[row, column] = False
    assert torch.equal(guess.tokens[rest], model.tokens(items)[rest])


def test_a_window_without_known_items_hides_nothing() -> None:
    model = trunk(GRec)
    model.known[:] = False
    model.known[5] = True

    guess = hidden_items(model, torch.tensor([[1, 2, 3], [1, 5, 2]]), CLOZE, torch.Generator())

    assert (guess.at[0].tolist(), guess.label.tolist()) == ([1], [5])


def test_rare_items_are_unknown_and_are_told() -> None:
    model = trunk()
    rows = Interactions(torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([1, 2, 3, 1, 2, 4]))

    learner(min_count=2).prepare(model, rows, fitter())

    assert torch.nonzero(model.known).flatten().tolist() == [1, 2]
    with pytest.raises(DataError, match=r"no item of the source occurs 3 times; lower method\.pretraining\.min_count"):
        learner(min_count=3).prepare(model, rows, fitter())


@pytest.mark.parametrize("kind", [NextItNet, GRec])
@pytest.mark.parametrize(
    "softmax", [FullSoftmax(), SampledSoftmax(negatives=12), InBatchSoftmax()], ids=lambda value: type(value).__name__
)
def test_a_trunk_learns_what_follows_what(kind: type[DilatedTrunk], softmax: Softmax) -> None:
    """Items go round: 0, 1, ..., 29, 0; items that nobody had keep their rows."""
    model = trunk(kind)
    start = torch.arange(200) * 7 % 20
    items = (start.unsqueeze(1) + torch.arange(6)) % 20
    rows = Interactions(torch.arange(200).repeat_interleave(6), items.flatten())
    by, fit = learner(softmax, batch_size=20), fitter()
    batches, loss = by.prepare(model, rows, fit)
    optimizer = by.adam.over(model)
    before = model.output[20:].detach().clone()

    from recretrain.methods.learners.source import SourceLoss

    fit(SourceLoss(model, optimizer, loss, fit.generator), batches, epochs=25)

    best = following(model, items[:, :5]).argmax(1)
    assert (best == items[:, 5]).float().mean().item() > 0.9
    if isinstance(softmax, FullSoftmax):
        assert torch.equal(model.output[20:], before)


@torch.no_grad()
def following(model: DilatedTrunk, history: Tensor) -> Tensor:
    return model.represent(history, history[:, 0]) @ model.output[:20].T
