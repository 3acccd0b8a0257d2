"""What a review network is told, and what becomes of users' biases."""

from pathlib import Path

import pytest
import torch

from recretrain.methods.cross_domain import Domains
from recretrain.methods.review_nets import ReviewNets
from recretrain.testing import case
from recretrain.testing.contract import learn


def learned(folder: Path, *overrides: str, tasks: int = 1):
    small = case("anr", *overrides)
    stream = small.stream(folder)
    method, found = small.method(stream), small.tasks(stream)
    assert isinstance(method, ReviewNets)
    for task in found[:tasks]:
        learn(method, task)
    return method, found[tasks - 1], stream


def test_users_are_read_in_the_source_and_held_out_texts_only_after_learning(tmp_path: Path, monkeypatch) -> None:
    read = []

    def noted(self, domains, held_out):
        read.append([self.reviews.of_user(0).offsets[-1], self.reviews.of_item.offsets[-1], held_out])
        return begin(self, domains, held_out)

    begin = ReviewNets._begin
    monkeypatch.setattr(ReviewNets, "_begin", noted)

    method, task, _ = learned(tmp_path, "schedule=next_period")

    ((users, items, held_out),) = read
    assert int(users) == 2 * len(task.period.context)  # two words a row
    assert int(items) == 2 * (len(task.period.texts.rows) - len(held_out))
    assert int(method.reviews.of_item.offsets[-1]) == 2 * len(task.period.texts.rows)


def test_documents_grow_though_nothing_is_learned(tmp_path: Path) -> None:
    method, task, _ = learned(tmp_path, "schedule=next_period", "method.reads=first", tasks=3)

    assert int(method.reviews.of_item.offsets[-1]) == 2 * sum(
        len(period.texts.rows) for period in [*task.past, task.period]
    )


@pytest.mark.parametrize("reads", ["all", "new"])
def test_what_was_read_before_is_read_once(reads: str, tmp_path: Path) -> None:
    method, task, _ = learned(tmp_path, "schedule=next_period", f"method.reads={reads}", tasks=3)

    texts = [period.texts for period in [*task.past, task.period]]
    assert int(method.reviews.of_item.offsets[-1]) == sum(len(text.tokens.values) for text in texts)


def test_biases_of_users_are_nothing_or_mapped_and_never_trained(tmp_path: Path) -> None:
    zero, _, _ = learned(tmp_path / "zero", "schedule=own_tests")
    mapped, task, stream = learned(tmp_path / "mapped", "schedule=own_tests", "method.user_bias=from_source")

    assert float(zero.backbone.user_bias.abs().sum()) == 0
    first = mapped.biases.fit(
        Domains.of([task.period]), task.period.valid, (stream.n_users, stream.n_items), mapped=True
    ).best
    assert torch.allclose(mapped.backbone.user_bias.double(), first.user, atol=1e-6)
    assert float(first.user.abs().sum()) > 0
    trained = mapped.backbone.item_bias.double() + mapped.backbone.mean
    assert not torch.allclose(trained, first.item + first.mean, atol=1e-4)


def test_the_best_epoch_on_held_out_ratings_is_kept(tmp_path: Path) -> None:
    method, task, _ = learned(tmp_path, "schedule=own_tests")

    curve = [note.value for note in method.notes() if note.name == "valid_mse"]
    held = task.period.valid.queries()
    with torch.no_grad():
        found = method._rated(held.user, held.item)
    assert len(curve) >= 2
    error = float((found.double() - held.other["rating"].double()).square().mean())
    assert error == pytest.approx(min(curve), abs=3e-3)  # a pair may stand in both parts, whose text comes later
