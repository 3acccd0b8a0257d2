"""Histories and downstream labels in the layout of PeterRec's authors, generated (peterrec.md, b).

Users mix topics. An item follows the one before it, or is a popular one of a topic of the user's; so are his labels in
the click and like tasks. His gender, age and life status are drawn by a soft-max of his mix of topics.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from recretrain.preparation.synthetic.tastes import Floats, Ints
from recretrain.values import AtLeast0, AtLeast1, NotNegative, Share

FILES = {
    "source": "original_desen_pretrain_3.csv",
    "click": "original_desen_finetune_click_nouserID_3.csv",
    "like": "original_desen_finetune_like_nouserID_3.csv",
    "gender": "original_desen_gender_3.csv",
    "age": "original_desen_age_3.csv",
    "life": "original_desen_lifestatus_3.csv",
}
BOUNDS = "bounds.csv"  # what can be reached in the tasks with classes
CLASSES = {"gender": 2, "age": 8, "life": 6}
MOST = {"click": 5, "like": 3}  # labels of a user
EVENNESS = 0.12  # of a user's mix of topics, by Dirichlet: few topics hold most of it
FADING = 0.8  # popularity falls as the rank to this power
SUCCESSORS = 4  # of every item, in its topic

log = logging.getLogger(__name__)


class Catalogue(NamedTuple):
    """Items by topic, and how popular they are."""

    by_topic: Ints  # [items] sorted by topic
    first: Ints  # [topics + 1] where each topic begins
    total: Floats  # [items + 1] summed popularity

    def draw(self, topic: Ints, rng: np.random.Generator) -> Ints:
        """A popular item of each of these topics.  # [n] -> [n]"""
        low, high = self.total[self.first[topic]], self.total[self.first[topic + 1]]
        place = np.searchsorted(self.total, low + rng.random(len(topic)) * (high - low), side="right") - 1
        drawn: Ints = self.by_topic[np.clip(place, self.first[topic], self.first[topic + 1] - 1)]
        return drawn


@dataclass(frozen=True, kw_only=True)
class QQUsers:
    """Users with histories of up to `longest` items and labels of five tasks."""

    users: AtLeast1
    items: AtLeast1  # of the source
    labels: AtLeast1  # items of the click and like tasks
    topics: AtLeast1
    longest: AtLeast1  # items of a history; at least 20, where it is longer
    follows: Share  # of items, that are a successor of the one before
    sharpness: NotNegative  # of classes by topics; 0: there is nothing to learn
    seed: AtLeast0

    version: ClassVar[int] = 1  # raise when the same options give other files

    def write(self, folder: Path) -> list[Path]:
        rng = np.random.default_rng(self.seed)
        mix = rng.dirichlet(np.full(self.topics, EVENNESS), self.users)
        histories = [",".join(map(str, row)) for row in self._histories(mix, rng).tolist()]
        files = [_write(folder / FILES["source"], histories)]
        labels = {name: self._taken(mix, most, rng) for name, most in MOST.items()}
        bounds = ["task,bayes,majority"]
        for name, classes in CLASSES.items():
            chances = _softmax(self.sharpness * mix @ rng.normal(size=(self.topics, classes)))
            drawn = (np.cumsum(chances, axis=1) < rng.random((self.users, 1))).sum(axis=1).clip(max=classes - 1)
            labels[name] = [[label] for label in (drawn + 1).tolist()]
            bounds.append(_bounds(name, chances, drawn))
        for name, of_users in labels.items():
            rows = (f"{history},,{','.join(map(str, own))}" for history, own in zip(histories, of_users, strict=True))
            files.append(_write(folder / FILES[name], rows))
        return [*files, _write(folder / BOUNDS, bounds)]

    def _histories(self, mix: Floats, rng: np.random.Generator) -> Ints:
        """Items from 1 on, 0 before the first.  # [users, longest]"""
        topic, catalogue = _catalogue(self.items, self.topics, rng)
        successors = catalogue.draw(np.repeat(topic, SUCCESSORS), rng).reshape(-1, SUCCESSORS)
        names = rng.permutation(self.items) + 1  # so that numbers tell nothing of popularity
        taken = np.empty((self.users, self.longest), dtype=np.int64)
        for place in range(self.longest):
            taken[:, place] = catalogue.draw(_topics(mix, rng), rng)
            if place:
                next_ = successors[taken[:, place - 1], rng.integers(SUCCESSORS, size=self.users)]
                taken[:, place] = np.where(rng.random(self.users) < self.follows, next_, taken[:, place])
        length = rng.integers(min(20, self.longest), self.longest + 1, size=(self.users, 1))
        return np.where(np.arange(self.longest) >= self.longest - length, names[taken], 0)

    def _taken(self, mix: Floats, most: int, rng: np.random.Generator) -> list[list[int]]:
        """Different labels of each user, from 1 on, `most` of them at most."""
        _, catalogue = _catalogue(self.labels, self.topics, rng)
        names = rng.permutation(self.labels) + 1
        drawn = names[np.stack([catalogue.draw(_topics(mix, rng), rng) for _ in range(most)], axis=1)]
        counts = rng.integers(1, most + 1, size=self.users)
        return [[*dict.fromkeys(own[:count])] for own, count in zip(drawn.tolist(), counts, strict=True)]


def _catalogue(items: int, topics: int, rng: np.random.Generator) -> tuple[Ints, Catalogue]:
    """The topic of every item, and the items by topic; each topic has one at least, if there are enough."""
    topic = rng.permutation(
        np.concatenate([np.arange(min(topics, items)), rng.integers(topics, size=max(items - topics, 0))])
    )
    popular = (rng.permutation(items) + 1.0) ** -FADING
    by_topic = np.argsort(topic, kind="stable")
    first = np.searchsorted(topic[by_topic], np.arange(topics + 1))
    return topic, Catalogue(by_topic, first, np.concatenate([[0.0], np.cumsum(popular[by_topic])]))


def _topics(mix: Floats, rng: np.random.Generator) -> Ints:
    """A topic of each user's mix.  # [users, topics] -> [users]"""
    drawn: Ints = (np.cumsum(mix, axis=1) < rng.random((len(mix), 1))).sum(axis=1)
    return drawn.clip(max=mix.shape[1] - 1)


def _softmax(logits: Floats) -> Floats:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances: Floats = power / power.sum(axis=1, keepdims=True)
    return chances


def _bounds(name: str, chances: Floats, drawn: Ints) -> str:
    """The accuracy of one who knows every user's chances, and of one who always names the commonest class."""
    bayes, majority = chances.max(axis=1).mean(), np.bincount(drawn).max() / len(drawn)
    log.info("%s: accuracy of the best possible guess %.3f, of the commonest class %.3f", name, bayes, majority)
    return f"{name},{bayes:.4f},{majority:.4f}"


def _write(file: Path, rows: Iterable[str]) -> Path:
    file.write_text("\n".join(rows) + "\n")
    return file
