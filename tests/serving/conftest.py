"""One small finished run of each kind, shared by all tests; ids have commas, quotes, letters and zeros in front."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recretrain
from recretrain.serving.run import Run
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

QUIET = ["trainer.progress=false", "trainer.threads=1", "data.source=synthetic"]
TIMED = [*TINY, "backbone.embedding_size=8", "method.learner.epochs=2"]
SESSIONS = [
    "data=diginetica",
    "data.generator.clicks=3000",
    "data.generator.items=200",
    "backbone.embedding_size=8",
    "method.learner.epochs=1",
    "schedule.last_test=1",
    *QUIET,
]
FILMS = [
    "method=melu",
    "data=movielens",
    "data.generator.users=150",
    "data.generator.items=120",
    "data.generator.ratings=6000",
    "method.learner.epochs=1",
    "method.learner.learning_rate=1e-3",
    "method.local.learning_rate=1e-3",
    *QUIET,
]
REVIEWS = [
    "method=mapped_biases",
    "data=amazon_pair",
    "data.generator.users=120",
    "data.generator.items=40",
    "data.generator.reviews=1500",
    "data.domains.core.min_item=2",
    "data.domains.core.min_user=2",
    *QUIET,
]

PROFILES = ["method=bag_of_items", "data=movielens_profiles", "data.generator.users=150", *QUIET]


def user(number: int) -> str:
    return f'{number:03d}, "ü"'


def item(number: int) -> str:
    return f"{number:03d}\u2028'x' ;"


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serving")


@pytest.fixture(scope="session")
def clicks(place: Path) -> Path:
    users, items = tasteful_slices(1, 700, n_users=30, n_items=60)[0]
    rng = np.random.default_rng(5)
    order = rng.permutation(len(users))
    frame = pd.DataFrame({"user": map(user, users), "item": map(item, items)}).iloc[order]
    late = [user(99)], [item(99)]  # met in the last period alone, which is not learned
    frame = pd.concat([frame, pd.DataFrame({"user": late[0], "item": late[1]})])
    frame.assign(timestamp=range(len(frame))).to_csv(place / "clicks.csv", index=False)
    return place / "clicks.csv"


def finished(place: Path, *words: str) -> Run:
    return recretrain.run(*words, f"paths.outputs={place / 'outputs'}", f"paths.cache={place / 'cache'}")


@pytest.fixture(scope="session")
def ranked(place: Path, clicks: Path) -> Run:
    """Users and items by the product of their rows."""
    return finished(place, "method=fine_tune", *TIMED, f"data.path={clicks}")


@pytest.fixture(scope="session")
def remembering(place: Path, clicks: Path) -> Run:
    """Users by their last items."""
    return finished(place, "method=gru4rec", "needs.history=6", *TIMED, f"data.path={clicks}")


@pytest.fixture(scope="session")
def sessions(place: Path) -> Run:
    return finished(place, "method=session_fine_tune", "backbone=gru4rec", *SESSIONS)


@pytest.fixture(scope="session")
def films(place: Path) -> Run:
    return finished(place, *FILMS)


@pytest.fixture(scope="session")
def reviews(place: Path) -> Run:
    return finished(place, *REVIEWS)


@pytest.fixture(scope="session")
def profiles(place: Path) -> Run:
    """Downstream tasks: labels of users by their items in the source."""
    return finished(place, *PROFILES)
