"""CATN explains a rating by the numbers that make it."""

from __future__ import annotations

import pytest
import torch

from recretrain.data.kinds import Questions
from recretrain.methods.catn import CATN
from recretrain.testing.contract import case, learn


@pytest.fixture(scope="module", params=["live", "off"])
def learned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[CATN, list[int], int]:
    """CATN after its first period, users who wrote in the source, and an item of the target."""
    network = [
        f"backbone.auxiliary={request.param}",
        "backbone.style.pad_softmax=masked",
        "backbone.style.query_std=0.5",
    ]
    made = case("catn_bias", *network, "eval=cold_users", "schedule=own_tests")
    stream = made.stream(tmp_path_factory.mktemp("data"))
    method = made.method(stream)
    assert isinstance(method, CATN)
    task = made.tasks(stream)[0]
    learn(method, task)
    with torch.no_grad():
        method.backbone.query.mul_(20)  # so that aspects add something that can be told from nothing
    method._vectors = {}
    return method, task.period.context.user.unique().tolist(), int(task.period.train.item[0])


def test_what_aspects_add_makes_the_rating(learned: tuple[CATN, list[int], int]) -> None:
    method, users, item = learned
    for user in users[:5]:
        asked = Questions(user=torch.tensor([user]), candidates=torch.tensor([[item]]))
        found = method.explained(user, item)

        assert float(found.parts.abs().sum()) > 1e-4
        assert found.rating == pytest.approx(found.biases + float(found.parts.sum()), abs=1e-6)
        assert found.rating == pytest.approx(float(method.score(asked)), abs=1e-5)


def test_words_are_those_of_the_documents(learned: tuple[CATN, list[int], int]) -> None:
    method, users, item = learned
    found = method.explained(users[0], item)

    # a text of the stream is the number of its user below 20, then that of its item above
    assert set(found.by_user.words[0::2].tolist()) == {users[0] % 20}
    assert set(found.of_item.words[1::2].tolist()) == {20 + item % 20}
    for side in (found.by_user, found.of_item):
        assert side.weights.shape == (len(side.words), method.backbone.style.aspects)
        assert bool((side.weights > 0).all())
        assert bool((side.weights.sum(0) <= 1 + 1e-5).all())
