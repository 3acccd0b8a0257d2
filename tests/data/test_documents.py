"""Documents of users and of items, from hand-made texts of two periods."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from recretrain.data.documents import first_tokens, joined_texts, read_tokens
from recretrain.data.interactions import Ragged
from recretrain.data.questions import ColdRatings
from recretrain.data.schedule import NextPeriod
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
    made = stream(tmp_path / "s")
    rows, tokens = joined_texts([made.texts(0), made.texts(1)])

    # user 0 wrote 10 11, then 13 14, then nothing; user 1 wrote 12, then 15; user 2 wrote 16 17; user 3 nothing
    of_users = first_tokens(tokens, rows.user, 4, 9)
    assert of_users.tolist() == [[10, 11, 13, 14], [12, 15, -1, -1], [16, 17, -1, -1], [-1, -1, -1, -1]]
    # of item 0: 10 11, 12, nothing; of item 1: 13 14, 16 17; of item 2: 15; of item 3 nothing
    of_items = first_tokens(tokens, rows.item, 4, 9)
    assert of_items.tolist() == [[10, 11, 12, -1], [13, 14, 16, 17], [15, -1, -1, -1], [-1, -1, -1, -1]]
    assert rows.other["rating"].shape == rows.user.shape


def test_a_document_is_cut_after_its_first_tokens(tmp_path):
    rows, tokens = stream(tmp_path / "s").texts(0)

    assert first_tokens(tokens, rows.user, 4, 3).tolist() == [[10, 11, 13], [12, -1, -1], [-1] * 3, [-1] * 3]


def test_without_any_word_documents_are_empty():
    nothing = Ragged(torch.tensor([0, 0]), torch.zeros(0, dtype=torch.long))

    assert first_tokens(nothing, torch.tensor([0]), 2, 9).tolist() == [[-1], [-1]]


def test_texts_of_other_rows_are_refused(tmp_path):
    short = stream(tmp_path / "s", texts=[TEXTS[0], TEXTS[1][:2]])

    with pytest.raises(DataError, match=r"texts of 2 rows beside 3 interactions; prepare the data again"):
        short.texts(1)


def test_a_period_gives_no_text_of_its_questions(tmp_path):
    """A review says its rating: the rows of valid and test of a period are asked after it was learned."""
    parts = [["train", "valid", "test"], ["context", "train", "test"]]
    parted = stream(tmp_path / "s", parts=[[PARTS.index(part) for part in period] for period in parts])

    first, second = parted[0].texts, parted[1].texts

    assert (first.rows.user.tolist(), first.tokens.values.tolist()) == ([0], [10, 11])
    assert (second.rows.user.tolist(), second.tokens.values.tolist()) == ([1, 0], [15])
    assert parted[1].context.user.tolist() == [1]
    assert parted[1].train.user.tolist() == [0]


def test_a_block_of_periods_gives_the_texts_of_each(tmp_path):
    parts = [["context", "train", "train"], ["context", "train", "train"]]
    made = stream(tmp_path / "s", parts=[[PARTS.index(part) for part in period] for period in parts])
    schedule = NextPeriod(start=1, first_test=2, choosing=0, warm_up=2, last_test=None, again=0)
    block = schedule._maker(made, lambda what, rows: None, 0, 1)().period

    assert block.texts.tokens.values.tolist() == [10, 11, 12, 13, 14, 15, 16, 17]
    assert block.context.user.tolist() == [0, 1]
    assert block.train.user.tolist() == [1, 0, 0, 2]
