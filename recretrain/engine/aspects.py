"""The words that a rating of CATN attends to, and what its aspects add to it (catn.md, c)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recretrain.data.kinds import Ratings
from recretrain.data.stream import Stream
from recretrain.engine.build import Experiment
from recretrain.engine.finished import column, finished
from recretrain.errors import ConfigError
from recretrain.methods.catn import CATN, Attended


@dataclass(frozen=True)
class Aspect:
    """An aspect of both documents, by the words that weigh most in it."""

    aspect: int  # from 1
    user: str  # words of the user's document, and their weights
    item: str


@dataclass(frozen=True)
class Reasons:
    """A rating, taken apart."""

    user: str  # the raw id, as is the item's
    item: str
    rating: float
    biases: float  # of user and item, within the rating
    aspects: Sequence[Aspect]
    parts: Sequence[Sequence[float]]  # what an aspect of the user (row) and one of the item (column) add


def reasons(folder: Path, *, user: str | None, item: str | None, top: int, trusted: Sequence[str] = ()) -> Reasons:
    """Of the rating of `item` by `user`, raw ids; by default of the first one that was asked.

    Raises ConfigError where the run is none of CATN's, or has no such user or item.
    """
    asked, method, _ = finished(folder, trusted)
    if not isinstance(method, CATN):
        raise ConfigError(f"{folder} is a run of {type(method).__name__}; aspects are CATN's")
    users, items = (column(asked.stream.folder / f"{kind}.parquet", "key") for kind in ("users", "items"))
    first = _first(asked)
    of_target = {number: items[number] for number in asked.stream.vocabulary.items_of(1).tolist()}
    one = first[0] if user is None else _number(users, user, "user", folder)
    other = first[1] if item is None else _number(of_target, item, "item of the target domain", folder)
    found = method.explained(one, other)
    words = column(asked.stream.folder / "words.parquet", "word")
    sides = [_heaviest(side, words, top) for side in (found.by_user, found.of_item)]
    aspects = [Aspect(place, *texts) for place, texts in enumerate(zip(*sides, strict=True), start=1)]
    return Reasons(users[one], items[other], found.rating, found.biases, aspects, found.parts.tolist())


def _first(asked: Experiment) -> tuple[int, int]:
    """User and item of the first test question that has any."""
    stream: Stream = asked.stream
    for period in asked.schedule.roles(stream)["test"]:
        part = "test" if stream.has_part(period, "test") else None
        test = stream.questions(period, part)
        if isinstance(test, Ratings) and len(test):
            return int(test.user[0]), int(test.items[0, 0])
    raise ConfigError(f"{stream.name} asks nothing; name --user and --item")


def _number(keys: dict[int, str], wanted: str, what: str, folder: Path) -> int:
    for number, key in keys.items():
        if key == wanted:
            return number
    some = ", ".join(list(keys.values())[:3])
    raise ConfigError(f"the data of {folder} have no {what} {wanted!r}; there are {some}, ...")


def _heaviest(side: Attended, words: dict[int, str], top: int) -> list[str]:
    """For each aspect `word .12, ...`; what a word gets at all its places together."""
    texts = []
    for weights in side.weights.T.tolist():
        total: dict[int, float] = defaultdict(float)
        for word, weight in zip(side.words.tolist(), weights, strict=True):
            total[word] += weight
        heaviest = sorted(total, key=lambda word: (-total[word], word))[:top]
        texts.append(", ".join(f"{words.get(word, word)} {total[word]:.3f}".replace(" 0.", " .") for word in heaviest))
    return texts
