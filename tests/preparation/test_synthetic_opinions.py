"""Generated ratings: read by the readers of the raw layouts, with facts, and with tastes that a few ratings tell."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from recretrain.data.fields import read_fields
from recretrain.data.questions import Episodes
from recretrain.data.stream import Stream
from recretrain.preparation.cut import ByCount
from recretrain.preparation.prepare import load_source, prepare

CONF = Path(__file__).parents[2] / "conf"
GENERATOR = {"users": 200, "items": 120, "ratings": 6000}


def prepared(tmp: Path, name: str, **changes: float) -> Path:
    """Smaller generated files, prepared."""
    source = load_source(CONF / f"data/{name}.yaml", source="synthetic", generator=GENERATOR | changes)
    return prepare(replace(source, cut=ByCount(periods=1)), data_root=tmp, cache=tmp / "cache")


@pytest.fixture(scope="module", params=["movielens", "bookcrossing"])
def generated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("generated"), request.param)


@pytest.fixture(scope="module")
def episodes() -> Callable[[Path], Stream]:
    node = yaml.safe_load((CONF / "eval/episodes.yaml").read_text())["questions"]
    options = {name: value for name, value in node.items() if name != "_target_"}
    return lambda folder: Stream(folder, Episodes(**options))


def test_generated_states_have_enough_users_to_ask(generated: Path, episodes: Callable[[Path], Stream]):
    stream = episodes(generated)

    assert stream.synthetic
    assert [p["name"] for p in stream.card["periods"]] == ["warm", "user_cold", "item_cold", "user_and_item_cold"]
    assert min(len(stream.questions(state)) for state in range(4)) >= 10


def test_generated_users_and_items_have_all_fields(generated: Path):
    fields = read_fields(generated)
    named = tuple(f.name for f in fields.item), tuple(f.name for f in fields.user)

    assert named in [
        (("rate", "genre", "director", "actor"), ("gender", "age", "occupation", "zip")),
        (("year", "author", "publisher"), ("age",)),
    ]
    assert all(f.size > 1 for f in [*fields.item, *fields.user])


@pytest.mark.parametrize("name", ["movielens", "bookcrossing"])
def test_a_taste_shows_in_a_users_own_ratings(tmp_path: Path, name: str, episodes: Callable[[Path], Stream]):
    """Facts make users differ too, but less than tastes do."""
    with_taste, without = (
        agreement(episodes(prepared(tmp_path, name, facts=0.2, taste=taste, ratings=10_000))) for taste in (0.6, 0.0)
    )

    assert with_taste > 0.3
    assert with_taste > without + 0.15


def agreement(stream: Stream) -> float:
    """Of half of a user's ratings with the others of the same genre (author), less what everybody gives the item."""
    parts = [stream.interactions(state) for state in range(4)]
    user, item = (torch.cat([getattr(p, kind) for p in parts]) for kind in ("user", "item"))
    rating = torch.cat([p.other["rating"] for p in parts]).double()
    residual = rating - _mean_by(item, rating)[item]
    group = next(f for f in stream.vocabulary.fields.item if f.name in ("genre", "author")).values[item, 0]
    like = user * 1000 + group
    half = torch.rand(len(user), generator=torch.Generator().manual_seed(0)) < 0.5
    support = _mean_by(like[half], residual[half], size=int(like.max()) + 1)[like[~half]]
    known = ~support.isnan()
    return float(torch.corrcoef(torch.stack([support[known], residual[~half][known]]))[0, 1])


def _mean_by(key: torch.Tensor, value: torch.Tensor, size: int | None = None) -> torch.Tensor:
    size = size or int(key.max()) + 1
    return torch.bincount(key, value, minlength=size) / torch.bincount(key, minlength=size)


@pytest.mark.parametrize("name", ["movielens", "bookcrossing"])
def test_a_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path, name: str):
    def written(folder: str, seed: int) -> list[bytes]:
        source = load_source(CONF / f"data/{name}.yaml", generator=GENERATOR | {"seed": seed})
        return [file.read_bytes() for file in source.synthesize(tmp_path / folder)]

    first = written("first", 1)

    assert first == written("again", 1)
    assert first != written("other", 2)
