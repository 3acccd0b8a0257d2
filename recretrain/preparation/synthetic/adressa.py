"""Events in the layout of Adressa's news log, generated: articles live for a day or two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np

from recretrain.preparation.synthetic.tastes import (
    Drift,
    Floats,
    Ints,
    Offer,
    World,
    crowd_of,
    distinct_picks,
    popularity,
)
from recretrain.values import AtLeast0, AtLeast1, NotNegative, Positive

FIRST_DAY = datetime(2017, 1, 1, tzinfo=ZoneInfo("Europe/Oslo"))
FRONT_PAGE = '"url":"http://adressa.no"'
# how much is read in each hour of the day
HOURS = np.array([2, 1, 1, 1, 1, 2, 5, 8, 8, 7, 7, 7, 8, 7, 6, 7, 7, 6, 6, 6, 7, 8, 7, 4], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class AdressaEvents:
    """Readers with tastes that turn, and articles that live for a day or two."""

    days: AtLeast1
    clicks: AtLeast1  # on articles
    front_page: NotNegative  # events of the front page, without an article, per click
    users: AtLeast1
    articles: AtLeast1
    drift: Drift  # of tastes
    life: Positive  # days in which an article's popularity falls to 1/e
    seed: AtLeast0

    version: ClassVar[int] = 2  # raise when the same options give other files

    def write(self, folder: Path) -> list[Path]:
        rng = np.random.default_rng(self.seed)
        when, users, articles = distinct_picks(self.world(rng), self.clicks, lambda n: self._moments(n, rng), rng)
        visits = int(self.clicks * self.front_page)
        when = np.concatenate([when, self._moments(visits, rng)])
        users = np.concatenate([users, rng.integers(self.users, size=visits)])
        articles = np.concatenate([articles, np.full(visits, -1)])
        order = np.argsort(when, kind="stable")
        return self._write_days(folder, when[order], users[order], articles[order])

    def world(self, rng: np.random.Generator) -> World:
        crowd = crowd_of(self.users, self.drift, rng, from_start=0.5, stay=0.6)
        offer = Offer(
            genre=rng.integers(self.drift.genres, size=self.articles),
            appeal=popularity(self.articles, 1.0, rng),
            born=rng.uniform(-1 / self.days, 1.0, self.articles),  # the first morning has yesterday's news
            life=self.life / self.days * popularity(self.articles, 0.3, rng),
        )
        return World(crowd, offer, steps=self.days * 24)

    def _moments(self, count: int, rng: np.random.Generator) -> Floats:
        hour = rng.choice(24, count, p=HOURS / HOURS.sum())
        days = rng.integers(self.days, size=count) + (hour + rng.random(count)) / 24
        return np.sort(days / self.days)

    def _write_days(self, folder: Path, when: Floats, users: Ints, articles: Ints) -> list[Path]:
        borders = np.searchsorted(when, np.arange(self.days + 1) / self.days)
        files = []
        for day in range(self.days):
            rows = slice(borders[day], borders[day + 1])
            midnight = FIRST_DAY + timedelta(days=day)
            seconds = int(midnight.timestamp()) + ((when[rows] * self.days - day) * 86_400).astype(np.int64)
            files.append(folder / f"{midnight:%Y%m%d}")
            with files[-1].open("w") as out:
                out.writelines(_lines(day, seconds, users[rows], articles[rows]))
        return files


def _lines(day: int, seconds: Ints, users: Ints, articles: Ints) -> Iterator[str]:
    """A line per event; as in the download, one of the front page has no `id`."""
    for n, (at, user, article) in enumerate(zip(seconds.tolist(), users.tolist(), articles.tolist(), strict=True)):
        page = f'"url":"http://adressa.no/{article}.html","id":"a{article:07d}"' if article >= 0 else FRONT_PAGE
        yield f'{{"eventId":{day + 1}{n:08d},"userId":"cx:u{user:07d}","time":{at},{page}}}\n'
