"""Documents of users and of items, from hand-made texts of two periods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.data.documents import documents, read_tokens
from recretrain.data.interactions import Interactions, Ragged
from recretrain.data.questions import ColdRatings
from recretrain.data.stream import PARTS, Stream
from recretrain.errors import DataError
from recretrain.testing.streams import write_stream

SLICES = [([0, 1, 0], [0, 0, 1]), ([1, 0, 2], [2, 0, 1])]
TEXTS = [[[10, 11], [12], [13, 14]], [[15], [], [16, 17]]]


def write_tokens(folder: Path, period: int, texts: list[list[int]]) -> None:
    offsets = np.cumsum([0, *(len(text) for text in texts)])
    values = np.array([token for text in texts for token in text], dtype=np.int32)
    np.savez(folder / f"tokens_{period:03d}.npz", offsets=offsets, values=values)


def stream(folder: Path, slices=SLICES, texts=TEXTS, parts=None) -> Stream:
    write_stream(folder, slices, n_users=4, n_items=4, parts=parts)
    card = json.loads((folder / "stream.json").read_text())
    (folder / "stream.json").write_text(json.dumps(card | {"tokens": 20}))
    for period, texts_of_period in enumerate(texts):
        write_tokens(folder, period, texts_of_period)
    return Stream(folder, ColdRatings())


def test_texts_are_read_row_by_row(tmp_path):
    folder = stream(tmp_path / "s").folder

    texts = read_tokens(folder, 1)

    assert [texts.values[a:b].tolist() for a, b in zip(texts.offsets, texts.offsets[1:], strict=False)] == TEXTS[1]
    assert (texts.offsets.dtype, texts.values.dtype) == (torch.int64, torch.int64)


def test_data_without_texts_are_named(tmp_path):
    folder = stream(tmp_path / "s").folder
    (folder / "tokens_001.npz").unlink()

    with pytest.raises(DataError, match=r"s has no texts \(tokens_001\.npz\); use data with reviews"):
        read_tokens(folder, 1)


def test_a_document_is_what_a_user_wrote_and_what_was_written_of_an_item(tmp_path):
    fields = stream(tmp_path / "s").fields_until(1, 9)

    (user,), (item,) = fields.user, fields.item
    assert (user.name, user.size, user.many) == ("document", 20, True)
    # user 0 wrote 10 11, then 13 14, then nothing; user 1 wrote 12, then 15; user 2 wrote 16 17; user 3 nothing
    assert user.values.tolist() == [[10, 11, 13, 14], [12, 15, -1, -1], [16, 17, -1, -1], [-1, -1, -1, -1]]
    # of item 0: 10 11, 12, nothing; of item 1: 13 14, 16 17; of item 2: 15; of item 3 nothing
    assert item.values.tolist() == [[10, 11, 12, -1], [13, 14, 16, 17], [15, -1, -1, -1], [-1, -1, -1, -1]]


def test_a_document_ends_with_the_period_it_is_asked_for(tmp_path):
    fields = stream(tmp_path / "s").fields_until(0, 9)

    assert fields.user[0].values.tolist() == [[10, 11, 13, 14], [12, -1, -1, -1], [-1] * 4, [-1] * 4]
    assert fields.item[0].values.tolist() == [[10, 11, 12], [13, 14, -1], [-1] * 3, [-1] * 3]


def test_a_document_is_cut_after_its_first_tokens(tmp_path):
    fields = stream(tmp_path / "s").fields_until(1, 3)

    assert fields.user[0].values.tolist() == [[10, 11, 13], [12, 15, -1], [16, 17, -1], [-1, -1, -1]]
    assert fields.item[0].values.tolist() == [[10, 11, 12], [13, 14, 16], [15, -1, -1], [-1, -1, -1]]


def test_without_any_word_documents_are_empty():
    rows = Interactions(torch.tensor([0]), torch.tensor([0]))
    nothing = Ragged(torch.tensor([0, 0]), torch.zeros(0, dtype=torch.long))

    fields = documents([(rows, nothing)], (2, 1), 20, 9)

    assert fields.user[0].values.tolist() == [[-1], [-1]]
    assert fields.item[0].values.tolist() == [[-1]]


def test_texts_of_other_rows_are_refused(tmp_path):
    short = stream(tmp_path / "s", texts=[TEXTS[0], TEXTS[1][:2]])
    mixed = stream(tmp_path / "m", texts=[TEXTS[0][:2], [*TEXTS[1], [18]]])  # as many texts as rows in all

    for broken in (short, mixed):
        with pytest.raises(DataError, match=r"texts of \d rows beside \d interactions; prepare the data again"):
            broken.fields_until(1, 9)


def test_a_document_holds_no_text_of_a_question_that_is_yet_to_be_answered(tmp_path):
    """A review says its rating: the rows of valid and test of a period are asked after it was learned."""
    parts = [["train", "valid", "test"], ["context", "train", "test"]]
    parted = stream(tmp_path / "s", parts=[[PARTS.index(part) for part in period] for period in parts])

    first, second = parted.fields_until(0, 9), parted.fields_until(1, 9)

    assert first.user[0].values.tolist() == [[10, 11], [-1, -1], [-1, -1], [-1, -1]]
    assert first.item[0].values.tolist() == [[10, 11], [-1, -1], [-1, -1], [-1, -1]]
    # by then the choosing questions of period 0 are answered; its tests never become something to learn from
    assert second.user[0].values.tolist() == [[10, 11], [12, 15], [-1, -1], [-1, -1]]
    assert second.item[0].values.tolist() == [[10, 11, 12], [-1] * 3, [15, -1, -1], [-1] * 3]
