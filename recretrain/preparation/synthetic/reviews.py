"""Reviews of two domains in Amazon's layout, generated: a taste is told by words in both, and makes the ratings.

A user likes or dislikes some aspects, an item is good or bad at them; a rating is the sum of both biases, of how well
taste and item fit, and of noise. A text is common words and mentions: three words about one aspect, which say
whether the user likes it at all or whether the item is good at it. So what a user wrote about one domain tells his
ratings in the other, if the words do.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from recretrain.errors import DataError
from recretrain.preparation.synthetic.tastes import Floats, Ints
from recretrain.values import AtLeast0, AtLeast1, NotNegative, Positive, Share

FILES = ("source.json.gz", "target.json.gz")
VECTORS = "vectors.txt"  # of the words, that know what each of them means
BOUNDS = "bounds.csv"  # what can be reached by ratings in the target domain
NAMES = ("source", "target", "both")  # of domains, in words
MEAN = 4.0
PHRASE = 3  # words
BLOCK = 50_000  # reviews in memory at a time
START, END = 1_262_304_000, 1_388_534_400  # 2010 to 2013, unix seconds
NUMBERS = 32  # of a vector of a word, at least

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Opinions:
    """What ratings are made of, in stars."""

    aspects: AtLeast1  # of taste
    taste: NotNegative  # standard deviation of how well a taste and an item fit; 0: there are biases alone
    biases: NotNegative  # standard deviation of the users' and of the items'
    noise: Positive
    drift: NotNegative  # radians that tastes turn in the whole time; after half pi they are others
    permuted: bool  # what an aspect of the source is, another one is in the target: it must be learned

    def drawn(self, users: int, rng: np.random.Generator) -> Crowd:
        shape = (users, self.aspects)
        begin, end = (unit(rng.normal(size=shape)) for _ in range(2))
        order = rng.permutation(self.aspects) if self.permuted else np.arange(self.aspects)
        return Crowd(begin, end, self.biases * rng.normal(size=users), order)


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What texts are made of."""

    length: AtLeast1  # words of a text, about
    talk: Share  # of a text that is about aspects; 0: texts tell nothing
    lexicon: AtLeast1  # words for one aspect, for good or bad each, in a domain
    shared: Share  # of these that both domains use; 0: words of one domain mean nothing in the other
    common: AtLeast1  # words about nothing


class Crowd(NamedTuple):
    """All users."""

    begin: Floats  # [users, aspects] tastes at the beginning
    end: Floats  # [users, aspects] what they turn to
    bias: Floats  # [users]
    order: Ints  # [aspects] which aspect of taste each aspect of the target is


class Rows(NamedTuple):
    """The reviews of a domain, those of an item together."""

    user: Ints  # [n]
    item: Ints  # [n]
    time: Floats  # [n] 0 to 1
    taste: Floats  # [n, aspects] of the user at the time, as the domain's aspects
    level: Floats  # [n, aspects] of the item
    bias: Floats  # [n] mean and both biases
    stars: Floats  # [n]


@dataclass(frozen=True, kw_only=True)
class AmazonReviews:
    """Two domains of equal size; users of both come later to the target."""

    users: AtLeast1  # of each domain
    items: AtLeast1  # of each domain
    reviews: AtLeast1  # of each domain
    overlap: Share  # of its users who are in the other too
    opinions: Opinions
    speech: Speech
    flaws: Share  # of reviews, that are there again; as many have no text
    seed: AtLeast0

    version: ClassVar[int] = 2  # raise when the same options give other files

    def write(self, folder: Path) -> list[Path]:
        if 2 * self.reviews > self.users * self.items:
            raise DataError(
                f"data.generator.reviews={self.reviews}: too many for {self.users} users and {self.items} items, of "
                "whom no pair is there twice; raise users or items"
            )
        rng = np.random.default_rng(self.seed)
        both = round(self.overlap * self.users)
        crowd = self.opinions.drawn(2 * self.users - both, rng)
        joined = _joined(len(crowd.bias), rng)
        files = []
        for domain, name in enumerate(FILES):
            rows = self._rows(domain, crowd, joined[:, domain], (self.users - both) * domain, rng)
            files.append(folder / name)
            with gzip.open(files[-1], "wt", compresslevel=1) as out:
                for start in range(0, self.reviews, BLOCK):
                    out.writelines(self._lines(domain, rows, slice(start, start + BLOCK), rng))
        of_both = (rows.user >= self.users - both) & (rows.user < self.users)
        return [*files, self._bounds(rows, of_both, folder / BOUNDS), self._vectors(folder / VECTORS, rng)]

    def _rows(self, domain: int, crowd: Crowd, joined: Floats, first: int, rng: np.random.Generator) -> Rows:
        user, item = self._pairs(rng)
        user += first
        time = joined[user] + (1 - joined[user]) * rng.random(self.reviews)
        sort = np.lexsort((time, item))
        user, item, time = user[sort], item[sort], time[sort]
        angle = (self.opinions.drift * time)[:, None]
        taste = np.cos(angle) * crowd.begin[user] + np.sin(angle) * crowd.end[user]
        taste = taste[:, crowd.order] if domain else taste
        level = rng.normal(size=(self.items, self.opinions.aspects))[item]
        bias = MEAN + crowd.bias[user] + self.opinions.biases * rng.normal(size=self.items)[item]
        exact = bias + self.opinions.taste * fit(taste, level) + self.opinions.noise * rng.normal(size=self.reviews)
        return Rows(user, item, time, taste, level, bias, np.clip(np.rint(exact), 1, 5))

    def _pairs(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Different pairs of an active user and a popular item."""
        active = rng.gamma(2.0, size=self.users)
        popular = np.power(rng.permutation(self.items) + 1.0, -0.6)
        found: Ints = np.zeros(0, dtype=np.int64)
        while len(found) < self.reviews:
            more = draw(active, self.reviews, rng) * self.items + draw(popular, self.reviews, rng)
            found = np.unique(np.concatenate([found, more]))
        chosen = rng.permutation(found)[: self.reviews]
        return chosen // self.items, chosen % self.items

    def _lines(self, domain: int, rows: Rows, some: slice, rng: np.random.Generator) -> Iterator[str]:
        """One review a line, with some flaws after it."""
        texts = self._texts(domain, rows.taste[some], rows.level[some], rng)
        again, silent = (rng.random(len(texts)) < self.flaws for _ in range(2))
        when = (START + rows.time[some] * (END - START)).astype(np.int64)
        columns = (rows.user[some], rows.item[some], rows.stars[some], when, again, silent)
        for text, user, item, stars, time, twice, empty in zip(texts, *(c.tolist() for c in columns), strict=True):
            for words, rating in ((text, stars), *([(text, 1.0)] * twice), *([("", stars)] * empty)):
                yield (
                    f'{{"reviewerID": "U{user:07d}", "asin": "{"ST"[domain]}{item:07d}", "reviewText": '
                    f'{json.dumps(words)}, "overall": {rating}, "summary": "", "unixReviewTime": {time}}}\n'
                )

    def _texts(self, domain: int, taste: Floats, level: Floats, rng: np.random.Generator) -> list[str]:
        speech, aspects = self.speech, self.opinions.aspects
        phrases = 1 + rng.poisson(max(speech.length / PHRASE - 1, 0), len(taste))
        review = np.repeat(np.arange(len(taste)), phrases)
        weight = np.cumsum(np.abs(taste) + 0.1, axis=1)[review]
        aspect = (weight < rng.random((len(review), 1)) * weight[:, -1:]).sum(axis=1)
        felt = taste[review, aspect]
        seen = level[review, aspect] + 0.5 * rng.normal(size=len(review))
        good = np.where(rng.random(len(review)) < 0.5, felt, seen) > 0
        number = rng.integers(speech.lexicon, size=(len(review), PHRASE))
        whose = np.where(number < round(speech.shared * speech.lexicon), 2, domain)
        told = ((whose * aspects + aspect[:, None]) * 2 + good[:, None]) * speech.lexicon + number
        idle = draw(1.0 / np.arange(1, speech.common + 1), told.size, rng).reshape(told.shape)
        about = rng.random((len(review), 1)) < speech.talk
        words = self.words()[np.where(about, speech.common + told, idle)]
        spoken = [" ".join(three) for three in words.tolist()]
        ends = phrases.cumsum()
        return [" ".join(spoken[start:end]).capitalize() + "." for start, end in zip(ends - phrases, ends, strict=True)]

    def words(self) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
        """Every word: the common ones, then by domain (both last), aspect, bad or good, and number."""
        aspects, count = range(self.opinions.aspects), range(self.speech.lexicon)
        told = [f"{d}{a}{how}{n}" for d in NAMES for a in aspects for how in ("bad", "good") for n in count]
        return np.array([*(f"common{n}" for n in range(self.speech.common)), *told], dtype=object)

    def _bounds(self, rows: Rows, asked: np.ndarray[tuple[int], np.dtype[np.bool_]], file: Path) -> Path:
        """Write the mean squared error of one who knows all but the noise, only the biases, or only the mean."""
        stars, bias = rows.stars[asked], rows.bias[asked]
        fits = self.opinions.taste * fit(rows.taste[asked], rows.level[asked])
        guesses = {
            "oracle": expected(bias + fits, self.opinions.noise),
            "biases": expected(bias, float(np.hypot(self.opinions.noise, self.opinions.taste))),
            "global": np.full(len(stars), stars.mean() if len(stars) else MEAN),
        }
        errors = {name: float(((guess - stars) ** 2).sum() / max(len(stars), 1)) for name, guess in guesses.items()}
        told = ", ".join(f"{name} {error:.3f}" for name, error in errors.items())
        log.info("mean squared error of ratings in the target domain by users of both: %s", told)
        file.write_text("bound,mse\n" + "".join(f"{name},{error:.4f}\n" for name, error in errors.items()))
        return file

    def _vectors(self, file: Path, rng: np.random.Generator) -> Path:
        """Write a vector for every word: of its aspect, of its aspect for good or bad, of its domain; and noise."""
        aspects = self.opinions.aspects
        size = max(NUMBERS, 2 * aspects + 3)
        axes, _ = np.linalg.qr(rng.normal(size=(size, size)))
        told = np.stack(np.meshgrid(*map(np.arange, (3, aspects, 2, self.speech.lexicon)), indexing="ij"), -1)
        domain, aspect, good = told.reshape(-1, 4)[:, :3].T
        meant = axes[aspect] + (2 * good - 1)[:, None] * axes[aspects + aspect] + 0.5 * axes[2 * aspects + domain]
        vectors = np.concatenate([np.zeros((self.speech.common, size)), meant])
        vectors += rng.normal(size=vectors.shape) / np.sqrt(size)
        lines = (f"{word} {' '.join(f'{x:.4f}' for x in v)}\n" for word, v in zip(self.words(), vectors, strict=True))
        file.write_text("".join(lines))
        return file


def fit(taste: Floats, level: Floats) -> Floats:
    """How well they fit, of variance 1.  # [n, aspects] twice -> [n]"""
    fits: Floats = (taste * level).sum(axis=1) / np.sqrt(taste.shape[1])
    return fits


def unit(tastes: Floats) -> Floats:
    """Rows whose squares have the mean 1."""
    scaled: Floats = tastes / np.sqrt((tastes**2).mean(axis=1, keepdims=True))
    return scaled


def _joined(users: int, rng: np.random.Generator) -> Floats:
    """When users come to the source, and later to the target, as shares of the time.  # [users, 2]"""
    early, later = rng.random((2, users))
    source = 0.3 * early
    return np.stack([source, source + (0.95 - source) * later], axis=1)


def draw(weight: Floats, count: int, rng: np.random.Generator) -> Ints:
    """Places drawn by their weights.  # [n] -> [count]"""
    total = np.cumsum(weight)
    places: Ints = np.searchsorted(total, rng.random(count) * total[-1], side="right").astype(np.int64)
    return places.clip(max=len(weight) - 1)


def expected(exact: Floats, noise: float) -> Floats:
    """The mean of `clip(round(exact + noise), 1, 5)`, whose noise is normal."""
    from scipy.special import ndtr

    above = [ndtr((exact - border) / noise) for border in (1.5, 2.5, 3.5, 4.5)]
    mean: Floats = 1 + np.sum(above, axis=0)
    return mean
