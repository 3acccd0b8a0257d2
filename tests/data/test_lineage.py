"""A stream that has only grown is known by the digests of its periods."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from recretrain.data.lineage import first_other, lineage
from recretrain.testing.streams import tasteful_slices, write_stream, write_texts

SLICES = tasteful_slices(5, 60, n_users=20, n_items=30)


def stream(folder: Path, slices=SLICES, **sizes) -> Path:
    return write_stream(folder, slices, **{"n_users": 20, "n_items": 30, **sizes})


def later(slices) -> list:
    return [([20 + u for u in users], [30 + i for i in items]) for users, items in slices]


def test_equal_data_have_equal_digests_and_each_period_its_own(tmp_path):
    first, again = lineage(stream(tmp_path / "a")), lineage(stream(tmp_path / "b"))

    assert first == again
    assert len(set(first)) == 5


def test_a_stream_with_more_periods_and_ids_begins_as_the_shorter_one(tmp_path):
    whole = [*SLICES, *later(SLICES[:1])]
    short = lineage(stream(tmp_path / "short"))
    long = lineage(stream(tmp_path / "long", whole, n_users=40, n_items=60))

    assert long[:5] == short
    assert first_other(short, long) is None
    assert first_other(long, short) == 5


def change_row(folder: Path) -> None:
    file = folder / "period_002.parquet"
    table = pq.read_table(file)
    items = table.column("item").to_numpy().copy()
    items[7] = (items[7] + 1) % 30
    pq.write_table(table.set_column(1, "item", [items]), file)


def change_key(folder: Path) -> None:
    """Another raw id for an item that appears in the second period."""
    file = folder / "items.parquet"
    table = pq.read_table(file)
    first, keys = table.column("first_period").to_numpy().copy(), table.column("key").to_numpy().copy()
    first[3], keys[3] = 2, 77
    pq.write_table(table.set_column(1, "key", [keys]).set_column(2, "first_period", [first.astype(np.int32)]), file)


def change_name(folder: Path) -> None:
    card = json.loads((folder / "stream.json").read_text())
    card["periods"][2]["name"] = "another"
    (folder / "stream.json").write_text(json.dumps(card))


def change_words(folder: Path) -> None:
    file = folder / "tokens_002.npz"
    with np.load(file) as arrays:
        np.savez(file, offsets=arrays["offsets"], values=arrays["values"][::-1].copy())


@pytest.mark.parametrize("change", [change_row, change_name, change_words], ids=lambda change: change.__name__)
def test_what_changes_in_a_period_shows_from_it_on(change, tmp_path):
    folder, other = (write_texts(stream(tmp_path / name), SLICES) for name in ("a", "b"))
    change(other)

    assert first_other(lineage(folder), lineage(other)) == 2
    assert not {*lineage(folder)[2:]} & {*lineage(other)[2:]}


def test_another_raw_id_is_another_period(tmp_path):
    folder, other = (stream(tmp_path / name) for name in ("a", "b"))
    for changed in (folder, other):
        change_key(changed)
    file = other / "items.parquet"
    table = pq.read_table(file)
    keys = table.column("key").to_numpy().copy()
    keys[3] = 78
    pq.write_table(table.set_column(1, "key", [keys]), file)

    assert first_other(lineage(folder), lineage(other)) == 2


def test_other_options_or_facts_are_other_data_from_the_start(tmp_path):
    folder, options, facts = (stream(tmp_path / name) for name in ("a", "b", "c"))
    card = json.loads((options / "stream.json").read_text())
    (options / "stream.json").write_text(json.dumps(card | {"options": {"k_core": 5}}))
    np.save(facts / "more.npy", np.zeros(3))

    assert first_other(lineage(folder), lineage(options)) == 0
    assert first_other(lineage(folder), lineage(facts)) == 0


def test_fields_belong_to_the_period_in_which_their_ids_are_new(tmp_path):
    whole = [*SLICES, *later(SLICES[:1])]
    folder, wider, other = (stream(tmp_path / name, whole, n_users=40, n_items=60) for name in ("a", "wider", "other"))
    values = np.load(folder / "item_genre.npy")
    changed = values.copy()
    changed[35, 0] += 1  # of an item that is new in the last period
    np.save(other / "item_genre.npy", changed)
    np.save(wider / "item_genre.npy", np.hstack([values, np.full((60, 2), -1, np.int32)]))

    assert first_other(lineage(folder), lineage(other)) == 5
    assert lineage(folder) == lineage(wider)
