"""Soft-max losses and the optimiser beside plain autograd and formulas worked by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones import softmax
from recretrain.backbones.base import frozen
from recretrain.backbones.optimizers import DenseAdam, TensorFlowAdam
from recretrain.backbones.softmax import cross_entropy, distillation
from recretrain.backbones.tables import Computed, TableGradient, gradient_of, rows_of, standing_in, take

ROWS, ITEMS, KNOWN, OLD, SIZE = 12, 40, 33, 17, 5
NEAR = {"atol": 1e-6, "rtol": 1e-5}
chunks = pytest.mark.parametrize("chunk", [1, 7, KNOWN, 2048])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def leaf(*shape: int, scale: float = 1.0) -> nn.Parameter:
    return nn.Parameter(scale * torch.randn(*shape))


def twin(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().clone())


def agree(ours: Tensor, expected: Tensor, *pairs: tuple[nn.Parameter, nn.Parameter]) -> None:
    ours.backward()
    expected.backward()
    torch.testing.assert_close(ours, expected, **NEAR)
    for left, right in pairs:
        assert left.grad is not None
        torch.testing.assert_close(left.grad, right.grad, **NEAR)


def plain_distillation(features: Tensor, table: Tensor, taught: Tensor, teacher: Tensor) -> Tensor:
    aims = torch.softmax(taught @ teacher.T, 1)
    return -(aims * F.log_softmax(features @ table[: len(teacher)].T, 1)).sum(1).mean()


@chunks
@pytest.mark.parametrize("known", [KNOWN, ITEMS])
def test_cross_entropy_is_that_of_full_scores(chunk: int, known: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(softmax, "_CHUNK", chunk)
    features, table = leaf(ROWS, SIZE), leaf(ITEMS, SIZE)
    plain_features, plain_table = twin(features), twin(table)
    label = torch.randint(KNOWN, (ROWS,))

    ours = cross_entropy(features, table, label, known)
    expected = F.cross_entropy(plain_features @ plain_table[:known].T, label)

    agree(3 * ours, 3 * expected, (features, plain_features), (table, plain_table))


SPACES = {
    "neighbours": torch.arange(11, KNOWN),
    "the first": torch.arange(KNOWN),
    "scattered": torch.arange(ITEMS)[torch.arange(ITEMS) % 3 != 1],
    "one": torch.tensor([7]),
}


@chunks
@pytest.mark.parametrize("space", SPACES)
def test_cross_entropy_over_the_items_of_a_space_is_that_of_their_scores(
    space: str, chunk: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(softmax, "_CHUNK", chunk)
    items = SPACES[space]
    features, table = leaf(ROWS, SIZE), leaf(ITEMS, SIZE)
    plain_features, plain_table = twin(features), twin(table)
    place = torch.randint(len(items), (ROWS,))

    ours = cross_entropy(features, table, items[place], items)
    expected = F.cross_entropy(plain_features @ plain_table[items].T, place)

    agree(3 * ours, 3 * expected, (features, plain_features), (table, plain_table))
    others = torch.ones(ITEMS, dtype=torch.bool)
    others[items] = False
    assert not table.grad[others].any()


def test_the_first_items_are_the_same_by_number_and_by_id():
    features, table = leaf(ROWS, SIZE), leaf(ITEMS, SIZE)
    other_features, other_table = twin(features), twin(table)
    label = torch.randint(KNOWN, (ROWS,))

    cross_entropy(features, table, label, KNOWN).backward()
    cross_entropy(other_features, other_table, label, torch.arange(KNOWN)).backward()

    assert torch.equal(features.grad, other_features.grad)
    assert torch.equal(table.grad, other_table.grad)


def test_a_table_that_was_frozen_for_the_loss_gets_no_gradient_though_it_thaws_before_the_backward_pass():
    features, table = leaf(ROWS, SIZE), leaf(ITEMS, SIZE)
    free_features, free_table = twin(features), twin(table)
    label, taught, teacher = torch.randint(KNOWN, (ROWS,)), torch.randn(ROWS, 3), torch.randn(OLD, 3)

    def loss(features: Tensor, table: nn.Parameter) -> Tensor:
        taken = take(table, torch.tensor([1, 1])).sum() * features.sum()
        return cross_entropy(features, table, label, KNOWN) + distillation(features, table, taught, teacher) + taken

    with frozen(nn.ParameterList([table])):
        held = loss(features, table)
    held.backward()
    loss(free_features, free_table).backward()

    assert table.requires_grad
    assert table.grad is None
    assert torch.equal(features.grad, free_features.grad)
    assert free_table.grad.any()


def test_rows_of_neighbours_are_not_copied():
    table = torch.randn(9, 2)

    assert rows_of(table, torch.arange(2, 6)).data_ptr() == table[2:].data_ptr()
    assert torch.equal(rows_of(table, torch.tensor([2, 4, 5])), table[[2, 4, 5]])
    assert torch.equal(rows_of(table, torch.tensor([8])), table[8:])


def test_cross_entropy_by_hand():
    features, table = nn.Parameter(torch.tensor([[1.0]])), nn.Parameter(torch.tensor([[0.0], [math.log(3)], [9.0]]))

    loss = cross_entropy(features, table, torch.tensor([0]), 2)
    loss.backward()

    assert float(loss.detach()) == pytest.approx(math.log(4))  # shares are 1/4 and 3/4; the third item is not known yet
    assert table.grad.tolist() == [[pytest.approx(-3 / 4)], [pytest.approx(3 / 4)], [0.0]]
    assert float(features.grad) == pytest.approx(3 / 4 * math.log(3))


@chunks
def test_distillation_is_the_plain_one_over_the_items_of_the_teacher(chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(softmax, "_CHUNK", chunk)
    features, table = leaf(ROWS, SIZE), leaf(ITEMS, SIZE)
    plain_features, plain_table = twin(features), twin(table)
    taught, teacher = torch.randn(ROWS, 3), torch.randn(OLD, 3)

    ours = distillation(features, table, taught, teacher)
    expected = plain_distillation(plain_features, plain_table, taught, teacher)

    agree(3 * ours, 3 * expected, (features, plain_features), (table, plain_table))
    assert not table.grad[OLD:].any()


@chunks
def test_both_losses_of_one_step_add_up(chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(softmax, "_CHUNK", chunk)
    features, table = leaf(ROWS, SIZE), leaf(ITEMS, SIZE)
    plain_features, plain_table = twin(features), twin(table)
    label, index = torch.randint(KNOWN, (ROWS,)), torch.tensor([1, 1, 39])
    taught, teacher = torch.randn(ROWS, 3), torch.randn(OLD, 3)

    ours = cross_entropy(features, table, label, KNOWN) + 2 * distillation(features, table, taught, teacher)
    expected = F.cross_entropy(plain_features @ plain_table[:KNOWN].T, label)
    expected = expected + 2 * plain_distillation(plain_features, plain_table, taught, teacher)

    agree(
        ours + take(table, index).square().sum(),
        expected + plain_table[index].square().sum(),
        (features, plain_features),
        (table, plain_table),
    )


@chunks
def test_large_scores_do_not_overflow(chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(softmax, "_CHUNK", chunk)
    features, table = leaf(ROWS, SIZE, scale=100.0), leaf(ITEMS, SIZE, scale=100.0)
    plain_features, plain_table = twin(features), twin(table)
    label = torch.randint(KNOWN, (ROWS,))
    taught, teacher = 100 * torch.randn(ROWS, 3), 100 * torch.randn(OLD, 3)

    ours = cross_entropy(features, table, label, KNOWN) + distillation(features, table, taught, teacher)
    expected = F.cross_entropy(plain_features @ plain_table[:KNOWN].T, label)
    expected = expected + plain_distillation(plain_features, plain_table, taught, teacher)

    assert float(expected.detach()) > 1e4
    ours.backward()
    expected.backward()
    torch.testing.assert_close(ours, expected, atol=0.0, rtol=1e-5)
    torch.testing.assert_close(features.grad, plain_features.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(table.grad, plain_table.grad, atol=1e-3, rtol=1e-4)


def whole(table: nn.Parameter) -> None:
    gradient_of(table).add_(1.0)


def some(table: nn.Parameter) -> None:
    take(table, torch.tensor([0, 3, 3])).sum().backward()


def others(table: nn.Parameter) -> None:
    take(table, torch.tensor([5])).sum().backward()


def soft(table: nn.Parameter) -> None:
    cross_entropy(leaf(ROWS, SIZE), table, torch.zeros(ROWS, dtype=torch.long), KNOWN).backward()


def plain(table: nn.Parameter) -> None:
    table.sum().backward()


@pytest.mark.parametrize(
    "writers",
    [
        [whole],
        [some],
        [soft],
        [some, whole],
        [whole, some],
        [some, soft],
        [soft, some],
        [some, others],
        [plain],
        [plain, some],
        [some, plain],
        [soft, plain],
        [some, others, plain],
    ],
    ids=lambda writers: "+".join(writer.__name__ for writer in writers),
)
def test_nothing_of_a_gradient_is_left_after_zero_grad(writers: list):
    table = leaf(ITEMS, SIZE)
    adam = DenseAdam([table], learning_rate=0.1)

    for _ in range(2):
        for write in writers:
            write(table)
        assert table.grad.any()
        adam.zero_grad()
        assert table.grad is None or not table.grad.any()


@pytest.mark.parametrize("between", [[], [whole], [plain]], ids=["rows", "rows+whole", "rows+plain"])
def test_only_written_rows_are_cleared_where_no_other_writer_was(between: list, monkeypatch: pytest.MonkeyPatch):
    cleared_whole = []
    monkeypatch.setattr(TableGradient, "zero_", lambda self: cleared_whole.append(self) or Tensor.zero_(self))
    table = leaf(ITEMS, SIZE)
    adam = DenseAdam([table], learning_rate=0.1)

    for write in [some, others, *between]:
        write(table)
    adam.zero_grad()

    assert len(cleared_whole) == bool(between)
    assert not table.grad.any()


def test_rows_written_after_a_whole_gradient_are_cleared_again():
    table = leaf(ITEMS, SIZE)
    adam = DenseAdam([table], learning_rate=0.1)
    for write in (whole, some):
        write(table)
        adam.zero_grad()

    some(table)

    assert table.grad[3].tolist() == [2.0] * SIZE  # twice taken
    assert table.grad.sum() == 3 * SIZE


def test_adam_adds_epsilon_where_tensorflow_does():
    """w -= a_t m / (sqrt(v) + 1e-8), a_t = rate sqrt(1 - 0.999^t) / (1 - 0.9^t): small gradients tell."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    adam = TensorFlowAdam([weight], learning_rate=0.1)
    expected, m, v = weight.detach().double(), torch.zeros(3).double(), torch.zeros(3).double()

    for step, gradient in enumerate(([1e-6, 1.0, -3e-7], [2e-6, -1.0, 1e-7], [0.0, 0.5, 1e-8]), start=1):
        weight.grad = torch.tensor(gradient)
        adam.step()

        g = torch.tensor(gradient).double()
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        expected = expected - 0.1 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step) * m / (v.sqrt() + 1e-8)
        torch.testing.assert_close(weight.detach().double(), expected, atol=2e-7, rtol=1e-5)


def test_the_epsilon_of_adam_goes_on_where_a_saved_one_stopped():
    def run(resumed: bool) -> Tensor:
        weight = nn.Parameter(torch.tensor([1.0]))
        adam = TensorFlowAdam([weight], learning_rate=0.1)
        for step in range(4):
            if resumed and step == 2:
                state, adam = adam.state_dict(), TensorFlowAdam([weight], learning_rate=0.1)
                adam.load_state_dict(state)
            weight.grad = torch.tensor([1e-7])
            adam.step()
        return weight.detach()

    assert torch.equal(run(resumed=True), run(resumed=False))


class Scaled(Computed):
    """Rows of a table, times a number that is to be learned."""

    def __init__(self, table: Tensor, scale: Tensor) -> None:
        self.shape, self._table, self._scale = table.shape, table, scale

    def rows(self, index: Tensor) -> Tensor:
        return self._table[index] * self._scale


@pytest.mark.parametrize("known", [KNOWN, torch.tensor([2, 5, 11, 30])])
def test_cross_entropy_reads_a_computed_table_and_gives_a_gradient_to_what_it_is_computed_of(known: int | Tensor):
    table, features, scale = torch.randn(ITEMS, SIZE), leaf(ROWS, SIZE), leaf(1)
    features_too, scale_too = twin(features), twin(scale)
    ids = known if isinstance(known, Tensor) else torch.arange(known)
    place = torch.randint(len(ids), (ROWS,))

    ours = cross_entropy(features, Scaled(table, scale), ids[place], known)

    expected = F.cross_entropy(features_too @ (table[ids] * scale_too).T, place)
    agree(ours, expected, (features, features_too), (scale, scale_too))


def test_a_module_reads_another_table_inside_and_its_own_again_after_an_error():
    module = nn.Module()
    module.item = own = leaf(ITEMS, SIZE)
    ids = torch.tensor([[3, 3], [0, 7]])

    with standing_in(module, {"item": Scaled(own.detach(), torch.tensor(2.0))}):
        assert torch.equal(take(module.item, ids), 2 * own[ids])
        assert dict(module.named_parameters()) == {"item": own}
    assert module.item is own

    with pytest.raises(IndexError), standing_in(module, {"item": Scaled(own.detach(), torch.tensor(2.0))}):
        take(module.item, ids + ITEMS)
    assert module.item is own
