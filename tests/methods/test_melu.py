"""What MeLU keeps, what it forgets, and whom it does not know yet."""

import pytest
import torch
from contract import learn, maker, tasks
from streams import fields

from recretrain.backbones.content import ContentNet
from recretrain.data.batches import Columns
from recretrain.data.fields import Fields
from recretrain.data.stream import Questions
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.melu import columns_of


def weights(method) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in method.net.parameters()]


def after_each_task(make, folder) -> list[list[torch.Tensor]]:
    stream = make.stream(folder)
    method, seen = make(stream), []
    for task in tasks(stream):
        learn(method, task)
        seen.append(weights(method))
    return seen


def same(left, right) -> bool:
    return all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def test_frozen_learns_the_first_period_alone(tmp_path):
    first, second, *_, last = after_each_task(maker("melu", start="frozen"), tmp_path / "s")

    assert same(first, second)
    assert same(first, last)


def test_from_scratch_a_period_does_not_know_the_ones_before(tmp_path):
    make = maker("melu", start="scratch")
    stream = make.stream(tmp_path / "s")
    through, alone = make(stream), make(stream)
    for task in tasks(stream)[:3]:
        learn(through, task)
    learn(alone, tasks(stream)[2])

    assert same(weights(through), weights(alone))


def test_more_local_steps_fit_the_support_better(tmp_path):
    make = maker("melu", local_steps=1, local_learning_rate=0.05)
    stream = make.stream(tmp_path / "s")
    method = make(stream)
    task = tasks(stream)[0]
    learn(method, task)
    (test,) = task.period.own.values()
    item, rating = test.context["support_item"], test.context["support_rating"]
    there = item >= 0

    errors = []
    for steps in (0, 1, 5):
        with torch.no_grad():
            found = method.answer(test.user, item, rating, item.clamp(min=0), first=True, steps=steps)
        errors.append(float((found - rating)[there].pow(2).mean()))

    assert errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("order", ["first", "second"])
def test_all_layers_adapt_as_one_user_at_a_time_would(order, tmp_path):
    make = maker("melu", adapts="all", local_steps=2, local_learning_rate=0.05, order=order)
    stream = make.stream(tmp_path / "s")
    method = make(stream)
    (test,) = tasks(stream)[0].period.own.values()
    context = test.context["support_item"], test.context["support_rating"]
    weights = list(method.net.parameters())

    together = method.answer(test.user, *context, test.candidates, first=order == "first", steps=2)
    ours = torch.autograd.grad((together - test.labels).pow(2).mean(), weights)
    alone = [one_user(method, test, row, second=order == "second") for row in range(len(test))]
    theirs = torch.autograd.grad(torch.stack([(a - y).pow(2).mean() for a, y in alone]).mean(), weights)

    torch.testing.assert_close(together, torch.stack([answer for answer, _ in alone]), atol=1e-5, rtol=1e-5)
    for mine, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, wanted, atol=1e-5, rtol=1e-4)


def one_user(method, test, row: int, *, second: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers of a user after two steps of all weights, by autograd, and what was asked for."""
    there = test.context["support_item"][row] >= 0
    user, items = test.user[row : row + 1], test.context["support_item"][row][there].unsqueeze(0)
    local = dict(method.net.named_parameters())
    for _ in range(2):
        predicted = torch.func.functional_call(method.net, local, (user, items))
        loss = (predicted - test.context["support_rating"][row][there]).pow(2).mean()
        slopes = torch.autograd.grad(loss, list(local.values()), create_graph=second)
        local = {name: weight - 0.05 * slope for (name, weight), slope in zip(local.items(), slopes, strict=True)}
    return torch.func.functional_call(method.net, local, (user, test.candidates[row : row + 1]))[0], test.labels[row]


def test_answers_may_take_another_number_of_steps_than_training(tmp_path):
    make = maker("melu", answer_steps=0, local_steps=5, local_learning_rate=0.05)
    stream = make.stream(tmp_path / "s")
    method = make(stream)
    (test, *_) = tasks(stream)[-1].tests().values()
    asked = Questions(test.user, test.candidates, None, test.context)

    assert torch.equal(method.score(asked), method.net.predict(test.user, test.candidates))


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
    make = maker("melu")
    stream = make.stream(tmp_path / "s")
    (episodes,) = tasks(stream)[0].period.own.values()

    users = len(episodes)
    given = {"batch_size": users - 1, "generator": torch.Generator().manual_seed(0)}
    dropping = Columns(columns_of(episodes), **given, drop_last=True)
    keeping = Columns(columns_of(episodes), **given, drop_last=False)

    assert [len(batch[0]) for batch in dropping] == [users - 1]
    assert [len(batch[0]) for batch in keeping] == [users - 1, 1]
    assert len(keeping) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adapts": "tables"}, "method.adapts=tables: give decisions"),
        ({"order": "third"}, "method.order=third: give first"),
        ({"start": "cold"}, "method.start=cold: give warm, scratch or frozen"),
        ({"local_steps": -1}, "method.local_steps=-1 must be 0 or more"),
    ],
)
def test_a_wrong_option_names_its_key(changes, message, tmp_path):
    make = maker("melu", **changes)

    with pytest.raises(ValueError, match=message):
        make(make.stream(tmp_path / "s"))
