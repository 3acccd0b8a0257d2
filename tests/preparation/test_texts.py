"""Texts become numbers of words as scikit-learn's vectoriser finds them, and words become vectors."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hydra.errors import InstantiationException
from preparation.test_sources_domains import BOTH, FIRST, SECOND, card, prepared, review, rows, texts
from sklearn.feature_extraction.text import TfidfVectorizer

from recretrain.errors import DataError
from recretrain.preparation.texts import ppmi_vectors, unit

SENTENCES = (
    "Great sound, great price; the CABLE hums",
    "the cable is ok. English made, x 4 u",
    "The höhe of it: don't buy",
    "great the under_score the 22 price",
)
SPOKEN = [review(f"u{u}", f"a{i}", text=SENTENCES[(u + i) % 4]) for u in BOTH for i in range(2)]


def vocabulary(folder: Path) -> list[str]:
    found: list[str] = pq.read_table(folder / "words.parquet")["word"].to_pylist()
    return found


def vectors(folder: Path) -> dict[str, list[float]]:
    return dict(zip(vocabulary(folder), np.load(folder / "word_vectors.npy").tolist(), strict=True))


@pytest.mark.parametrize(("most", "share"), [(100, 0.9), (100, 0.5), (4, 1.0)])
def test_the_vocabulary_is_that_of_the_released_vectoriser(tmp_path: Path, most: int, share: float):
    folder = prepared(
        tmp_path, SPOKEN, SECOND, texts={"tokens": "released", "max_features": most, "max_df": share, "size": 2}
    )

    corpus = [text for *_, text in (*SPOKEN, *SECOND)]
    found = TfidfVectorizer(max_df=share, max_features=most, stop_words=["english"]).fit(corpus)
    assert vocabulary(folder) == [*found.get_feature_names_out()]
    assert card(folder)["tokens"] == len(vocabulary(folder))
    assert pq.read_table(folder / "words.parquet")["id"].to_pylist() == [*range(len(vocabulary(folder)))]


def test_released_tokens_are_split_at_blanks_and_keep_their_case(tmp_path: Path):
    released, words = (
        prepared(tmp_path, SPOKEN, SECOND, texts={"tokens": tokens, "max_df": 0.9}) for tokens in ("released", "words")
    )

    assert texts(released)[:3] == [
        ["great", "the", "hums"],  # not `Great`, `sound,`, `price;`, `CABLE`
        ["the", "cable", "is"],  # not `ok.`, `English`, `made,` nor single letters
        ["the", "cable", "is"],
    ]
    assert texts(words)[0] == ["great", "sound", "great", "price", "the", "cable", "hums"]
    assert "english" in vocabulary(words)
    assert "english" not in vocabulary(released)


def test_texts_stand_row_by_row_with_the_period(tmp_path: Path):
    own = [review(f"u{u}", f"a{i}", text=f"word{u}x{i} thing") for u in BOTH for i in range(2)]

    folder = prepared(tmp_path, own, SECOND, texts={"max_df": 1.0})

    expected = [[f"word{user[1:]}x{item[1:]}", "thing"] for user, item in rows(folder, "context")]
    assert texts(folder)[: len(expected)] == expected
    assert texts(folder)[len(expected) :] == [["good", "thing"]] * len(SECOND)


def test_words_may_be_counted_in_what_is_learned_alone(tmp_path: Path):
    own = [review(f"u{u}", f"b{u % 5}", text=f"only{u} thing") for u in BOTH]

    everything, learned = (
        prepared(tmp_path, FIRST, own, texts={"fitted_on": fitted}) for fitted in ("all", "training")
    )

    asked = {f"only{user[1:]}" for part in ("valid", "test") for user, _ in rows(learned, part)}
    assert len(asked) == 10
    assert {*vocabulary(everything)} - {*vocabulary(learned)} == asked


def test_vectors_are_counted_in_what_is_learned_alone(tmp_path: Path):
    own = [review(f"u{u}", f"b{u % 5}", text=f"only{u} thing") for u in BOTH]

    folder = prepared(tmp_path, FIRST, own)

    asked = {f"only{user[1:]}" for part in ("valid", "test") for user, _ in rows(folder, part)}
    assert {word for word, vector in vectors(folder).items() if not any(vector)} == asked


def test_words_of_like_company_have_like_vectors():
    """0 and 1 stand beside 2 alone, 3 and 4 beside 5 alone."""
    text = np.repeat(np.arange(8), 2)
    word = np.array([[0, 2], [1, 2], [3, 5], [4, 5]] * 2).ravel()

    found = ppmi_vectors([(text[:6], word[:6]), (text[6:], word[6:])], words=7, size=4, window=2)

    near = found @ found.T
    assert near[0, 1] == pytest.approx(1, abs=1e-5)
    assert near[3, 4] == pytest.approx(1, abs=1e-5)
    assert abs(near[0, 3]) < 1e-5
    assert found[6].tolist() == [0, 0, 0, 0]
    assert np.linalg.norm(found, axis=1)[:6] == pytest.approx(1)


def test_positive_information_is_that_of_counts_by_hand():
    """Of a b | a b | a c: rows of information are the singular vectors' products."""
    text, word = np.repeat(np.arange(3), 2), np.array([0, 1, 0, 1, 0, 2])

    found = ppmi_vectors([(text, word)], words=3, size=2, window=5)

    count = np.array([[0, 2, 1], [2, 0, 0], [1, 0, 0]], float)
    total = count.sum(1)
    with np.errstate(divide="ignore"):
        information = np.log(count / np.outer(total, total**0.75 / (total**0.75).sum())).clip(min=0)
    left, values, _ = np.linalg.svd(information)
    by_hand = unit((left * np.sqrt(values))[:, :2])
    assert found @ found.T == pytest.approx(by_hand @ by_hand.T, abs=1e-5)


def test_a_second_preparation_gives_the_same_vectors(tmp_path: Path):
    one, other = (prepared(tmp_path / name, SPOKEN, SECOND) for name in "ab")

    assert np.array_equal(np.load(one / "word_vectors.npy"), np.load(other / "word_vectors.npy"))


def written(file: Path, found: dict[str, list[float]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if ".bin" in file.name:
        body = b"".join(f"{w} ".encode() + struct.pack(f"<{len(v)}f", *v) + b"\n" for w, v in found.items())
        content = f"{len(found)} {len(next(iter(found.values())))}\n".encode() + body
    else:
        content = "".join(f"{w} {' '.join(map(str, v))}\n" for w, v in found.items()).encode()
    file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz", "vectors.bin", "vectors.bin.gz"])
def test_vectors_of_a_file_are_taken_as_they_are(tmp_path: Path, name: str):
    written(tmp_path / "raw" / name, {"thing": [3.0, 4.0, 0.5], "unheard": [1.0, 1.0, 1.0]})

    folder = prepared(tmp_path, FIRST, SECOND, texts={"vectors": "file", "file": name})

    assert vectors(folder) == {"good": [0, 0, 0], "thing": [3, 4, 0.5]}


def test_another_file_of_vectors_is_another_folder(tmp_path: Path):
    folders = []
    for length in (2, 3):
        written(tmp_path / "raw/vectors.txt", {"thing": [1.0] * length})
        folders.append(prepared(tmp_path, FIRST, SECOND, texts={"vectors": "file", "file": "vectors.txt"}))

    assert folders[0] != folders[1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vectors": "file"}, "texts.vectors=file and texts.file=None: vectors=file needs a file"),
        ({"file": "x"}, "texts.vectors=ppmi and texts.file=x"),
        ({"vectors": "file", "file": "none.txt"}, "none.txt is not there; get it, or set texts.vectors=ppmi"),
        ({"vectors": "file", "file": "bad.txt"}, r"bad.txt, line 2 \(b ...\): not a word and numbers"),
        ({"vectors": "file", "file": "short.txt"}, "short.txt: the vector of 'b' has 1 numbers, the first 2"),
        ({"max_df": 0.1}, "the texts have no words; raise texts.max_df"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, changed: dict[str, Any], message: str):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/bad.txt").write_text("a 1 2\nb 1 x\n")
    (tmp_path / "raw/short.txt").write_text("a 1 2\nb 1\n")

    with pytest.raises((DataError, InstantiationException), match=message):
        prepared(tmp_path, FIRST, SECOND, texts=changed)


def test_vectors_of_a_package_that_is_missing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("recretrain.preparation.texts.find_spec", lambda name: None)

    with pytest.raises(DataError, match=r"pip install 'recretrain\[text\]', or set texts.vectors=ppmi"):
        prepared(tmp_path, FIRST, SECOND, texts={"vectors": "wordllama"})
