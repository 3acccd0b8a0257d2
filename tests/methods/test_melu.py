"""What MeLU keeps, what it forgets, and whom it does not know yet."""

import pytest
import torch

from recretrain.backbones.content import ContentNet
from recretrain.data.batches import Columns
from recretrain.data.fields import Fields
from recretrain.data.kinds import Questions, Support
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.melu import columns_of
from recretrain.methods.parts.adaptation import LocalUpdates
from recretrain.testing import case, learn
from recretrain.testing.contract import slices_of
from recretrain.testing.streams import fields


def weights(method) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in method.backbone.parameters()]


def after_each_task(melu, folder) -> list[list[torch.Tensor]]:
    stream = melu.stream(folder)
    method, seen = melu.method(stream), []
    for task in melu.tasks(stream):
        learn(method, task)
        seen.append(weights(method))
    return seen


def same(left, right) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_frozen_learns_the_first_period_alone(tmp_path):
    first, second, *_, last = after_each_task(case("melu", "method.reads=first"), tmp_path / "s")

    assert same(first, second)
    assert same(first, last)


@pytest.mark.parametrize("reserve", [False, True])
def test_from_scratch_a_period_does_not_know_the_ones_before(reserve, tmp_path):
    slices = [*slices_of(0)]
    users, items = slices[3]
    slices[3] = users, [item // 4 * 4 for item in items]  # of the first field of items one value alone
    melu = case("melu", "method.start=cold", f"backbone.reserve_unseen={reserve}")
    stream = melu.stream(tmp_path / "s", slices)
    through, alone = melu.method(stream), melu.method(stream)
    for task in melu.tasks(stream)[:3]:
        learn(through, task)
    learn(alone, melu.tasks(stream)[2])

    assert same(through.backbone.state_dict().values(), alone.backbone.state_dict().values())


def test_more_local_steps_fit_the_support_better(tmp_path):
    melu = case("melu", "method.local.steps=1", "method.local.learning_rate=0.05")
    stream = melu.stream(tmp_path / "s")
    method = melu.method(stream)
    task = melu.tasks(stream)[0]
    learn(method, task)
    test = task.period.questions
    item, rating = test.support.item, test.support.rating
    known = item >= 0

    errors = []
    for steps in (0, 1, 5):
        local = updates(steps=1, answer_steps=steps)
        with torch.no_grad():
            found = local.answer(method.backbone, test.user, test.support, item.clamp(min=0))
        errors.append(float((found - rating)[known].pow(2).mean()))

    assert errors[0] > errors[1] > errors[2]


def updates(**changes) -> LocalUpdates:
    options = {"steps": 2, "learning_rate": 0.05, "adapts": "decisions", "order": "first", "answer_steps": None}
    return LocalUpdates(**{**options, **changes})


@pytest.mark.parametrize("order", ["first", "second"])
def test_all_layers_adapt_as_one_user_at_a_time_would(order, tmp_path):
    melu = case("melu")
    stream = melu.stream(tmp_path / "s")
    net = melu.method(stream).backbone
    test = melu.tasks(stream)[0].period.questions
    weights = list(net.parameters())

    together = updates(adapts="all", order=order).predict(net, test.user, test.support, test.items)
    ours = torch.autograd.grad((together - test.labels).pow(2).mean(), weights)
    alone = [one_user(net, test, row, second=order == "second") for row in range(len(test))]
    theirs = torch.autograd.grad(torch.stack([(a - y).pow(2).mean() for a, y in alone]).mean(), weights)

    torch.testing.assert_close(together, torch.stack([answer for answer, _ in alone]), atol=1e-5, rtol=1e-5)
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-4)


def one_user(net, test, row: int, *, second: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers of a user after two steps of all weights, by autograd, and what was asked for."""
    known = test.support.item[row] >= 0
    user, items = test.user[row : row + 1], test.support.item[row][known].unsqueeze(0)
    local = dict(net.named_parameters())
    for _ in range(2):
        predicted = torch.func.functional_call(net, local, (user, items))
        loss = (predicted - test.support.rating[row][known]).pow(2).mean()
        slopes = torch.autograd.grad(loss, list(local.values()), create_graph=second)
        local = {name: weight - 0.05 * slope for (name, weight), slope in zip(local.items(), slopes, strict=True)}
    return torch.func.functional_call(net, local, (user, test.items[row : row + 1]))[0], test.labels[row]


def test_answers_may_take_another_number_of_steps_than_training(tmp_path):
    options = ("method.local.steps=5", "method.local.learning_rate=0.05")
    melu, same_steps = case("melu", "method.local.answer_steps=0", *options), case("melu", *options)
    stream = melu.stream(tmp_path / "s")
    (test, *_) = melu.tasks(stream)[-1].tests().values()
    asked = Questions(user=test.user, candidates=test.items, support=test.support)

    method, adapting = melu.method(stream), same_steps.method(stream)

    assert torch.equal(method.score(asked), method.backbone.predict(test.user, test.items))
    assert not torch.allclose(adapting.score(asked), method.score(asked))


def test_a_value_that_was_never_trained_reads_the_reserved_row():
    made = Fields(user=fields(8, "age"), item=fields(8, "genre"))
    vocabulary = Vocabulary.of(n_users=8, n_items=8, fields=made)
    net = ContentNet(vocabulary=vocabulary, embedding_size=3, hidden=[4], reserve_unseen=True)
    items = torch.arange(8)
    unknown = net.item(items)

    net.meet(torch.tensor([0]), torch.tensor([0, 4]))  # the one-valued field's value 0, and 0, 1, 3 of the other
    known = net.item(items)

    one, _ = net.item.tables
    assert torch.equal(unknown[:, :3], one[4].expand(8, 3))
    assert torch.equal(known[4, :3], one[0])
    assert torch.equal(known[5, :3], one[4])


def test_a_last_batch_that_is_not_full_may_be_left_out(tmp_path):
    melu = case("melu")
    episodes = melu.tasks(melu.stream(tmp_path / "s"))[0].period.questions

    users = len(episodes)
    given = {"batch_size": users - 1, "generator": torch.Generator().manual_seed(0)}
    dropping = Columns(columns_of(episodes), **given, drop_last=True)
    keeping = Columns(columns_of(episodes), **given, drop_last=False)

    assert [len(batch[0]) for batch in dropping] == [users - 1]
    assert [len(batch[0]) for batch in keeping] == [users - 1, 1]
    assert len(keeping) == 2


def test_users_without_a_support_are_answered_as_without_local_updates(tmp_path):
    melu = case("melu")
    stream = melu.stream(tmp_path / "s")
    net = melu.method(stream).backbone
    user, item = torch.arange(3), torch.arange(6).view(3, 2)
    nothing = Support(torch.full((3, 1), -1), torch.zeros(3, 1))

    with torch.no_grad():
        found = updates(steps=5).answer(net, user, nothing, item)

    torch.testing.assert_close(found, net.predict(user, item))
