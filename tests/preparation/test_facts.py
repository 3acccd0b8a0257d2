"""Facts become numbers: by a vocabulary, then in order of appearance."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from recretrain.data.fields import read_fields
from recretrain.errors import DataError
from recretrain.preparation.sources.facts import numbered, split_lines, whole, words, write_facts


def test_values_are_numbered_in_order_of_appearance():
    genre = numbered("genre", [["War", "Comedy"], ["Comedy"], ["Drama", "War", "Comedy"]], many=True)

    assert genre.values.tolist() == [[0, 1, -1], [1, -1, -1], [2, 0, 1]]
    assert (genre.size, genre.many) == (3, True)


def test_a_vocabulary_numbers_first_and_what_it_lacks_follows():
    rate = numbered("rate", [["R"], ["nan"], ["PG"]], many=False, vocabulary=["PG", "G", "R"])

    assert rate.values.tolist() == [[2], [3], [0]]
    assert rate.size == 4


def test_a_table_may_be_larger_than_its_vocabulary():
    assert numbered("actor", [["x"]], many=True, vocabulary=["x", "y"], size=9).size == 9
    assert numbered("actor", [["x"], ["y"]], many=True, size=1).size == 2


def test_a_value_told_twice_counts_once():
    assert numbered("director", [["a", "b", "a"]], many=True).values.tolist() == [[0, 1]]


def test_a_vocabulary_is_a_file_of_a_value_a_line(tmp_path: Path):
    (tmp_path / "m_rate.txt").write_bytes("PG-13\r\nUNRATED\r\nDörrie".encode())

    assert words(tmp_path / "m_rate.txt") == ["PG-13", "UNRATED", "Dörrie"]


def test_a_line_of_other_fields_is_named(tmp_path: Path):
    file = tmp_path / "users.dat"
    file.write_text("1::F\n\n2::M::x\n")

    with pytest.raises(DataError, match=r"users\.dat, line 3 \(2::M::x\): 3 fields separated by '::', not 2; mend"):
        list(split_lines(file, "::", 2, "utf-8"))
    with pytest.raises(DataError, match=r"users\.dat, line 3 \(two\): the id is not a whole number"):
        whole(file, 3, "two")


def test_what_is_written_is_read_again(tmp_path: Path):
    age = numbered("age", [["18"], ["25"]], many=False)
    genre = numbered("genre", [["War", "Comedy"]], many=True)

    write_facts(tmp_path, {"user": [age], "item": [genre]}, ["M*A*S*H (1970)"])

    fields = read_fields(tmp_path)
    assert [(f.name, f.size, f.many, f.values.tolist()) for f in [*fields.user, *fields.item]] == [
        ("age", 2, False, [[0], [1]]),
        ("genre", 2, True, [[0, 1]]),
    ]
    assert fields.item[0].weights().tolist() == [[0.5, 0.5]]
    assert pq.read_table(tmp_path / "titles.parquet").to_pydict() == {"id": [0], "title": ["M*A*S*H (1970)"]}
