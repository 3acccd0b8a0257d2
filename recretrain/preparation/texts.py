"""Texts as numbers of words, and what the words mean as vectors."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from recretrain.errors import DataError
from recretrain.preparation.sql import Connection, Relation
from recretrain.values import AtLeast1, Share

Floats: TypeAlias = npt.NDArray[np.float32]
Ints: TypeAlias = npt.NDArray[np.int64]

WORD = r"[\p{L}\p{N}_]{2,}"  # what Python's `\b\w\w+\b` finds
SPLIT = {"words": f"regexp_extract_all(lower(text), '{WORD}')", "released": "string_split(text, ' ')"}
BLOCK = 20_000  # texts in memory at a time
MOST = 10_000_000  # words of texts that vectors are counted from
TRAINING = """part NOT IN ('valid', 'test')
              AND position < coalesce((SELECT start FROM slices WHERE index = 1), 9223372036854775807)"""
SMOOTHING = 0.75  # of the frequency of a neighbour, as in word2vec

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Texts:
    """How a text becomes numbers of words, and where the words' vectors are from."""

    tokens: Literal["released", "words"]  # released: at blanks, case and punctuation kept, so that many words are lost
    max_features: AtLeast1  # words, the most frequent ones
    max_df: Share  # words in a larger share of the texts are left out
    fitted_on: Literal[
        "all", "training"
    ]  # words counted in all texts (released), or only in those that are learned from
    vectors: Literal["ppmi", "wordllama", "file"]
    size: AtLeast1  # numbers of a vector; those of a file have their own
    window: AtLeast1  # ppmi: neighbours on each side
    file: str | None  # of vectors, beside the data or absolute: word2vec's text or binary form, plain or .gz

    def __post_init__(self) -> None:
        if (self.vectors == "file") != (self.file is not None):
            raise DataError(
                f"texts.vectors={self.vectors} and texts.file={self.file}: vectors=file needs a file, others have none"
            )

    def identity(self, place: Path | None) -> dict[str, Any]:
        """Name and size of the file of vectors, for the digest; `place`: the folder of the data, where it exists."""
        if self.file is None or place is None:
            return {}
        return {"file": [Path(self.file).name, self._vector_file(place).stat().st_size]}

    def number(self, connection: Connection) -> Relation:
        """Make `words` (id, word) and `numbered` (position, tokens) of the rows of `stream`; return the latter.

        Table `texts` has row and text.
        """
        self._choose(connection)
        known = connection.sql("SELECT word FROM words ORDER BY id").to_arrow_table().column("word").combine_chunks()
        connection.execute("CREATE TABLE numbered (position BIGINT, tokens INTEGER[])")
        query = f"SELECT position, {SPLIT[self.tokens]} AS found FROM stream JOIN texts USING (row)"
        other = connection.cursor()
        kept = total = 0
        for block in connection.sql(query).to_arrow_reader(BLOCK):
            found = block.column("found")
            numbers = numbered(found, known)
            kept, total = kept + len(numbers.flatten()), total + len(found.flatten())
            batch = pa.table({"position": block.column("position"), "tokens": numbers})
            other.execute("INSERT INTO numbered SELECT * FROM batch")
            del batch
        other.close()
        log.info("texts: %d words; they are %.1f %% of the tokens", len(known), 100 * kept / max(total, 1))
        return connection.sql("SELECT position, tokens FROM numbered ORDER BY position")

    def write_vectors(self, connection: Connection, place: Path, folder: Path) -> None:
        """Write `word_vectors.npy`, one vector a word of `words`, 0 where nothing is known of a word."""
        words = [word for (word,) in connection.sql("SELECT word FROM words ORDER BY id").fetchall()]
        if self.vectors == "ppmi":
            vectors = ppmi_vectors(_training(connection), len(words), self.size, self.window)
        elif self.vectors == "wordllama":
            vectors = _wordllama(words, self.size)
        else:
            vectors = _of_file(self._vector_file(place), words)
        unknown = int((~vectors.any(axis=1)).sum())
        log.info("texts: vectors of %s, %d of %d words have none", self.vectors, unknown, len(words))
        np.save(folder / "word_vectors.npy", vectors)

    def _choose(self, connection: Connection) -> None:
        """Make `words`: the most frequent ones in order of the alphabet, as scikit-learn's vectoriser numbers them."""
        ((periods,),) = connection.sql("SELECT count(*) FROM slices").fetchall()
        given = "true" if self.fitted_on == "all" and periods == 1 else TRAINING
        connection.execute(
            f"""CREATE TEMP VIEW split AS
                SELECT {SPLIT["words"]} AS found FROM stream JOIN texts USING (row) WHERE {given}"""
        )
        ban = "AND word <> 'english'" if self.tokens == "released" else ""  # its only stop word
        connection.execute(
            f"""CREATE TABLE words AS
                SELECT row_number() OVER (ORDER BY word) - 1 AS id, word FROM (
                    SELECT word FROM (
                        SELECT unnest(found) AS word, 1 AS time, 0 AS text FROM split
                        UNION ALL SELECT unnest(list_distinct(found)), 0, 1 FROM split
                    )
                    GROUP BY word HAVING sum(text) <= {self.max_df} * (SELECT count(*) FROM split) {ban}
                    ORDER BY sum(time) DESC, word LIMIT {self.max_features}
                )"""
        )
        if not connection.table("words").count("*").fetchall()[0][0]:
            raise DataError("the texts have no words; raise texts.max_df, or use data with reviews")

    def _vector_file(self, place: Path) -> Path:
        file = place / str(self.file)
        if not file.is_file():
            raise DataError(f"texts.file: {file} is not there; get it, or set texts.vectors=ppmi")
        return file


def numbered(texts: pa.Array, known: pa.Array) -> pa.Array:
    """The place in `known` of every word of the texts (lists of words); words that it lacks are left out."""
    place = pc.index_in(texts.flatten(), value_set=known)
    kept = place.is_valid().to_numpy(zero_copy_only=False)
    length = pc.list_value_length(texts).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], kept.cumsum()])[np.concatenate([[0], length.cumsum()])]
    return pa.ListArray.from_arrays(pa.array(ends, pa.int32()), place.drop_null().cast(pa.int32()))


def ppmi_vectors(texts: Iterable[tuple[Ints, Ints]], words: int, size: int, window: int) -> Floats:
    """Vectors of unit length from how often words stand near each other.  # [words, size]

    The singular vectors of positive pointwise mutual information, times the root of their values (Levy, Goldberg and
    Dagan, 2015). `texts`: blocks of the number of the text and the word, one entry a token.
    """
    from scipy import sparse
    from sklearn.utils.extmath import randomized_svd

    counts = sparse.csr_matrix((words, words), dtype=np.float32)
    for text, word in texts:
        for ahead in range(1, window + 1):
            near = text[:-ahead] == text[ahead:]
            pair = word[:-ahead][near], word[ahead:][near]
            counts += sparse.csr_matrix((np.ones(len(pair[0]), np.float32), pair), shape=(words, words))
    counts = (counts + counts.T).tocoo()
    total = np.asarray(counts.sum(axis=1), np.float64).ravel()
    context = total**SMOOTHING / max((total**SMOOTHING).sum(), 1)
    information = np.log(counts.data / (total[counts.row] * context[counts.col]))
    positive = sparse.csr_matrix(
        (information.clip(min=0).astype(np.float32), (counts.row, counts.col)), shape=(words, words)
    )
    rank = min(size, words - 1)
    left, values, _ = randomized_svd(positive, rank, random_state=0)
    vectors = np.zeros((words, size), np.float32)
    vectors[:, :rank] = left * np.sqrt(values)
    return unit(vectors)


def unit(vectors: Floats) -> Floats:
    """Rows of length 1, but for those that are 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = (vectors / np.where(length > 1e-6, length, np.inf)).astype(np.float32)
    return scaled


def _training(connection: Connection) -> Iterator[tuple[Ints, Ints]]:
    """Blocks of text and word of each token of the texts that are learned from, thinned to at most about `MOST`."""
    given = f"FROM numbered JOIN stream USING (position) WHERE {TRAINING}"
    ((tokens,),) = connection.sql(f"SELECT coalesce(sum(len(tokens)), 0) {given}").fetchall()
    every = -(-int(tokens) // MOST) or 1
    query = f"SELECT position, tokens {given} AND position % {every} = 0 ORDER BY position"
    for block in connection.sql(query).to_arrow_reader(BLOCK):
        text = np.repeat(
            block.column("position").to_numpy(),
            pc.list_value_length(block.column("tokens")).to_numpy(zero_copy_only=False),
        )
        yield text, block.column("tokens").flatten().to_numpy(zero_copy_only=False)


def _wordllama(words: Sequence[str], size: int) -> Floats:
    """The first numbers of the vectors in the package `wordllama`, the mean over the pieces of a word."""
    place = find_spec("wordllama")
    if place is None or find_spec("tokenizers") is None or not place.submodule_search_locations:
        raise DataError(
            "texts.vectors=wordllama needs the packages wordllama and tokenizers: pip install 'recretrain[text]', or "
            "set texts.vectors=ppmi"
        )
    from tokenizers import Tokenizer

    folder = Path(place.submodule_search_locations[0])
    table = _safetensors(folder / "weights/l2_supercat_256.safetensors")
    if size > table.shape[1]:
        raise DataError(f"texts.size={size}, but vectors of wordllama have {table.shape[1]} numbers; lower it")
    pieces = Tokenizer.from_file(str(folder / "tokenizers/l2_supercat_tokenizer_config.json"))
    pieces.no_padding()
    found = [encoded.ids for encoded in pieces.encode_batch(list(words), add_special_tokens=False)]
    return unit(np.stack([table[ids, :size].mean(axis=0) for ids in found]))


def _safetensors(file: Path) -> Floats:
    """The one table of a file: the length of a head in JSON, the head, the numbers."""
    with file.open("rb") as opened:
        head = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        (table,) = (entry for name, entry in head.items() if name != "__metadata__")
        kind = {"F16": np.float16, "F32": np.float32}[table["dtype"]]
        return np.fromfile(opened, kind).reshape(table["shape"]).astype(np.float32)


def _of_file(file: Path, words: Sequence[str]) -> Floats:
    """Vectors of word2vec's text or binary form as they are, 0 for words that the file lacks."""
    place = {word: index for index, word in enumerate(words)}
    vectors: Floats | None = None
    for word, vector in _vectors(file):
        if vectors is None:
            vectors = np.zeros((len(words), len(vector)), np.float32)
        if len(vector) != vectors.shape[1]:
            raise DataError(f"{file}: the vector of {word!r} has {len(vector)} numbers, the first {vectors.shape[1]}")
        if word in place:
            vectors[place[word]] = vector
    if vectors is None:
        raise DataError(f"{file}: no vectors in it; give word2vec's text form (word 0.1 0.2 ...) or binary form")
    return vectors


def _vectors(file: Path) -> Iterator[tuple[str, Floats]]:
    with _opened(file) as opened:
        if file.name.removesuffix(".gz").endswith(".bin"):
            yield from _binary(opened)
            return
        for number, line in enumerate(opened, start=1):
            word, *numbers = line.decode("utf-8", errors="replace").split()
            if number == 1 and len(numbers) == 1:
                continue  # the head of word2vec's form: how many, how long
            try:
                yield word, np.array(numbers, np.float32)
            except ValueError:
                raise DataError(f"{file}, line {number} ({word} ...): not a word and numbers") from None


def _opened(file: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(file)) if file.suffix == ".gz" else file.open("rb")


def _binary(opened: IO[bytes]) -> Iterator[tuple[str, Floats]]:
    count, size = map(int, opened.readline().split())
    for _ in range(count):
        word = b"".join(iter(lambda: opened.read(1), b" "))
        yield word.decode("utf-8", errors="replace").strip(), np.frombuffer(opened.read(4 * size), np.float32)
