"""Each new period is asked, then learned, with the figures of the schedule that asks the next period."""

from pathlib import Path

import numpy as np
import pytest

from recretrain.configuration.compose import compose
from recretrain.engine.runner import run
from recretrain.errors import DataError
from recretrain.records import ranks_key
from recretrain.testing.streams import tasteful_slices
from tests.tiny import TINY

NEXT = [word for word in TINY if word.startswith("schedule")]
PLAIN = [word for word in TINY if word not in NEXT]


@pytest.fixture(scope="module")
def clicks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ((users, items),) = tasteful_slices(1, 700, n_users=30, n_items=60)
    path = tmp_path_factory.mktemp("rolling") / "clicks.csv"
    rows = [f"{u},{i},{time}" for time, (u, i) in enumerate(zip(users, items, strict=True))]
    path.write_text("\n".join(["user,item,timestamp", *rows]) + "\n")
    return path


def done(clicks: Path, method: str, *words: str) -> Path:
    places = [f"data.path={clicks}", f"paths.outputs={clicks.parent / 'out'}", f"paths.cache={clicks.parent / 'cache'}"]
    overrides = [*PLAIN, *places, f"method={method}", *words]
    config, choices = compose(overrides)
    return run(config, choices=choices, overrides=overrides)


def ranks(folder: Path) -> dict[str, np.ndarray]:
    """Ranks of all questions, by their period."""
    found: dict[str, np.ndarray] = {}
    for file in folder.glob("tasks/*/ranks.npz"):
        with np.load(file) as arrays:
            found.update(arrays)
    return found


@pytest.mark.parametrize("method", ["fine_tune", "sml", "frozen"])
def test_ranks_are_those_of_the_schedule_that_asks_the_next_period(method: str, clicks: Path):
    own = ["backbone.embedding_size=8"]
    if method == "sml":
        own += ["method.loops=2", "method.transfer.network.hidden=16"]
    rolling = done(clicks, method, "schedule=rolling", "schedule.start=3", "schedule.choosing=1", *own)
    after = ["schedule=next_period", "schedule.start=3", "schedule.first_test=3", "schedule.warm_up=start"]
    following = done(clicks, method, *after, "schedule.choosing=1", *own)

    assert ranks(rolling).keys() == ranks(following).keys()
    assert {ranks_key(3, "choosing"), ranks_key(6, "test")} <= ranks(rolling).keys()
    for name, found in ranks(rolling).items():
        np.testing.assert_array_equal(found, ranks(following)[name], name)
    assert len(list(rolling.glob("tasks/*"))) == 5  # the last period is learned, too
    assert len(list(following.glob("tasks/*"))) == 4


def test_too_long_a_warm_up_is_refused(clicks: Path):
    with pytest.raises(DataError, match=r"^schedule\.start=8 but tiny has 7 periods; lower schedule\.start"):
        done(clicks, "popularity", "schedule=rolling", "schedule.start=8")
