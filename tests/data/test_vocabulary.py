"""A vocabulary gives a backbone users, items, their spaces, and facts about them when asked."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from recretrain.data import vocabulary as module
from recretrain.data.fields import Fields
from recretrain.data.vocabulary import Vocabulary
from recretrain.testing.streams import fields, open_stream, write_stream

SLICES = [([0, 1, 2], [0, 1, 2]), ([0, 1], [3, 4])]


def folder_of(tmp_path: Path) -> Path:
    return write_stream(tmp_path / "s", SLICES, n_users=3, n_items=5)


def test_a_stream_of_one_space_names_it_items(tmp_path: Path):
    found = open_stream(folder_of(tmp_path)).vocabulary

    assert (found.n_users, found.n_items, found.spaces) == (3, 5, ("items",))
    assert torch.equal(found.item_space, torch.zeros(5, dtype=torch.int64))


def test_the_space_of_every_item_is_read_where_there_are_several(tmp_path: Path):
    folder = folder_of(tmp_path)
    card = json.loads((folder / "stream.json").read_text())
    (folder / "stream.json").write_text(json.dumps(card | {"spaces": ["films", "ages"]}))
    items = pq.read_table(folder / "items.parquet")
    pq.write_table(items.append_column("space", pa.array([0, 0, 1, 0, 1], pa.int16())), folder / "items.parquet")

    found = open_stream(folder).vocabulary

    assert found.spaces == ("films", "ages")
    assert found.item_space.dtype == torch.int64
    assert found.item_space.tolist() == [0, 0, 1, 0, 1]
    assert [found.items_of(space).tolist() for space in (0, 1)] == [[0, 1, 3], [2, 4]]


def test_fields_are_read_once_and_not_before_they_are_asked_for(tmp_path: Path, monkeypatch):
    reads = []
    read_fields = module.read_fields
    monkeypatch.setattr(module, "read_fields", lambda folder: reads.append(folder) or read_fields(folder))
    folder = folder_of(tmp_path)

    found = Vocabulary.read(folder)
    assert reads == []

    assert [field.name for field in found.fields.item] == ["genre", "genres"]
    assert found.fields is found.fields
    assert reads == [folder]


def test_one_can_be_made_without_a_folder():
    facts = Fields(user=fields(3, "age"), item=fields(5, "genre"))

    assert Vocabulary.of(n_users=3, n_items=5, fields=facts).fields is facts
    assert Vocabulary.of(n_users=3, n_items=5).fields.item == []
