"""Lists and tables of raw ids are read as they are spelt, and recommendations are written as they come."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recretrain.errors import DataError
from recretrain.serving.files import ids_in, table_in, write
from recretrain.serving.identities import distinct

AWKWARD = ["007", "NA", 'a "b", c', "ü\u2028x", " 7 ", "1e5"]


def test_a_list_has_an_id_a_line(tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_bytes(("\ufeff" + "\r\n".join(AWKWARD) + "\n\n").encode())

    assert ids_in(file, "user") == AWKWARD


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_them_in_a_column(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"users{suffix}"
    frame = pd.DataFrame({"other": range(len(AWKWARD)), "user": AWKWARD})
    frame.to_csv(file, index=False) if suffix == ".csv" else frame.to_parquet(file)

    assert ids_in(file, "user") == AWKWARD


def test_whole_numbers_stay_whole_beside_missing_ones(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": pa.array([7, None], pa.int64())}), tmp_path / "users.parquet")

    assert ids_in(tmp_path / "users.parquet", "user") == [7, None]


def test_ids_are_compared_as_text() -> None:
    assert distinct(["b", 7, "7", "a", "b"]) == ["b", 7, "a"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.txt", None, "there is no file {}; check its name"),
        ("gone.csv", None, "there is no file {}; check its name"),
        ("bytes.txt", b"\xff\xfe\x00", "{} is no text in UTF-8"),
        ("bytes.csv", b"user\n\xff\xfe", "{} cannot be read: "),
        ("empty.csv", b"", "{} is empty; its first line must name"),
        ("broken.csv", b"user\na\nb,c,d\n", "{}, line 3: 3 fields where the first line names 1"),
        ("broken.parquet", b"PAR1", "{} cannot be read: "),
        ("other.csv", b"name,age\na,1\n", "{} has no column 'user'; it has name, age"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(DataError) as error:
        ids_in(file, "user")

    assert message.format(file) in str(error.value)


def test_a_table_says_by_its_name_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rows\.txt must be a \.csv or \.parquet file"):
        table_in(tmp_path / "rows.txt")


def chunks() -> Iterator[pd.DataFrame]:
    for users, items in ([], []), (AWKWARD[:4], [1, 2, 3, 4]), (AWKWARD[4:], [5, 6]):
        yield pd.DataFrame({"user": pd.Series(users, dtype="str"), "item": pd.Series(items, dtype="int64")})


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_chunks_become_one_file(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / "new" / f"top{suffix}"

    assert write(chunks(), file) == len(AWKWARD)

    found = table_in(file)
    assert found["user"].tolist() == AWKWARD
    assert found["item"].map(int).tolist() == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_nothing_is_left_of_a_file_that_was_broken_off(tmp_path: Path) -> None:
    def broken() -> Iterator[pd.DataFrame]:
        yield from chunks()
        raise DataError("stop")

    for name in ("top.csv", "top.parquet"):
        with pytest.raises(DataError, match="stop"):
            write(broken(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
