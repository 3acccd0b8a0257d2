"""What has a state saves and loads all of it, by the names of its parts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from recretrain.errors import ConfigError
from recretrain.methods.parts.reservoir import Reservoir
from recretrain.methods.state import Made, Part, Stateful
from recretrain.testing.contract import same, through_a_file


class Inner(Stateful):
    kept = ("count",)

    def __init__(self) -> None:
        self.count = 0
        self.layer = nn.Linear(1, 1)
        self.rate = 0.5  # a setting, not a state
        self.kind = nn.Linear  # a class, whose objects would have one


class Outer(Stateful):
    kept = ("tables", "name", "last")

    def __init__(self) -> None:
        self.inner = Inner()
        self.pool = Reservoir(3)
        self.adam = Made(lambda weights: torch.optim.Adam(weights, lr=0.1))
        self.tables: dict[str, Tensor] | None = None
        self.name: str | None = None
        self.last = torch.zeros(2)


def changed() -> Outer:
    """One whose every part has moved on."""
    made = Outer()
    made.inner.count, made.tables, made.name = 3, {"user": torch.ones(2, 2)}, "today"
    made.last = torch.tensor([1.0, 2.0])
    step(made)
    return made


def step(made: Outer) -> None:
    optimizer = made.adam.over(made.inner.layer)
    made.inner.layer.weight.grad, made.inner.layer.bias.grad = torch.ones(1, 1), torch.ones(1)
    optimizer.step()


def test_the_parts_are_the_attributes_with_a_state_and_those_that_are_named():
    state = changed().state_dict()

    assert state.keys() == {"inner", "pool", "adam", "tables", "name", "last"}
    assert state["inner"].keys() == {"layer", "count"}
    assert state["inner"]["count"] == 3
    assert state["name"] == "today"


def test_all_of_it_comes_back_through_a_file():
    first, second = changed(), Outer()

    second.load_state_dict(through_a_file(first.state_dict()))

    assert same(through_a_file(first.state_dict()), through_a_file(second.state_dict()))
    assert second.inner.count == 3
    assert torch.equal(second.inner.layer.weight, first.inner.layer.weight)
    assert second.tables is not None
    assert second.tables["user"].tolist() == [[1, 1], [1, 1]]
    step(first)
    step(second)  # with the moments of the first step
    assert torch.equal(second.inner.layer.weight, first.inner.layer.weight)


def test_none_comes_back_as_none_and_takes_the_place_of_something():
    fresh, used = Outer(), changed()

    used.load_state_dict(through_a_file(fresh.state_dict()))

    assert used.tables is None
    assert used.name is None
    assert used.last.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda state: state.pop("pool"),
            r"Outer has the state \[.*'pool'.*\], not \['adam', 'inner'",
        ),
        (lambda state: state.update(more=1), r"Outer has the state \[.*\], not \[.*'more'.*\]"),
        (lambda state: state.pop("tables"), r"Outer has the state"),
        (lambda state: state["inner"].pop("count"), r"Inner has the state \['count', 'layer'\], not \['layer'\]"),
        (lambda state: state["inner"].update(rate=1.0), r"Inner has the state .*, not \['count', 'layer', 'rate'\]"),
    ],
    ids=["missing part", "surplus", "missing kept", "missing within", "surplus within"],
)
def test_a_state_of_other_names_is_a_mistake_of_the_program(spoil: Any, message: str):
    state = changed().state_dict()
    spoil(state)

    with pytest.raises(ValueError, match=message):
        Outer().load_state_dict(state)


def test_a_tensor_goes_back_to_the_device_of_the_one_it_replaces():
    elsewhere = Outer()
    elsewhere.last = torch.zeros(2, device="meta")

    elsewhere.load_state_dict(changed().state_dict())

    assert elsewhere.last.device == torch.device("meta")


def test_a_tensor_that_replaces_nothing_stays_where_it_was_loaded():
    state = changed().state_dict()
    state["tables"] = {"user": torch.zeros(2, device="meta")}
    made = Outer()

    made.load_state_dict(state)

    assert made.tables is not None
    assert made.tables["user"].device == torch.device("meta")


def test_parts_are_recognised():
    assert isinstance(nn.Linear(1, 1), Part)
    assert isinstance(Reservoir(1), Part)
    assert isinstance(Made(lambda weights: torch.optim.SGD(weights, lr=1.0)), Part)
    assert not isinstance(0.5, Part)
    assert not isinstance({"a": 1}, Part)


# ------------------------------------------------------------------------------------- optimisers made when used


def made() -> tuple[Made, list[int]]:
    """An Adam of which is counted how often it is made."""
    times: list[int] = []

    def make(weights: list[nn.Parameter]) -> torch.optim.Adam:
        times.append(len(weights))
        return torch.optim.Adam(weights, lr=0.1)

    return Made(make), times


def after_steps(adam: Made, layer: nn.Linear, gradients: list[float]) -> float:
    for gradient in gradients:
        layer.weight.grad = torch.full_like(layer.weight, gradient)
        adam.over(layer).step()
    return layer.weight.item()


def layer() -> nn.Linear:
    one = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(one.weight)
    return one


def test_an_optimiser_is_made_at_its_first_use_and_kept():
    adam, times = made()
    model = layer()
    assert times == []

    assert adam.over(model) is adam.over(model)

    assert times == [1]
    assert adam.over(model).param_groups[0]["params"][0] is model.weight


def test_renewed_moments_are_those_of_a_new_optimiser():
    adam, times = made()
    model = layer()
    after_steps(adam, model, [1.0, 1.0])

    adam.renew()
    nn.init.zeros_(model.weight)
    renewed = after_steps(adam, model, [-5.0])

    fresh, _ = made()
    assert renewed == after_steps(fresh, layer(), [-5.0])
    assert renewed == pytest.approx(0.1)  # Adam's first step has the size of its rate, whatever the gradient
    assert times == [1, 1]
    adam.renew()
    assert adam.state_dict() == {"state": None}


def test_moments_loaded_before_the_first_use_are_those_that_were_saved():
    adam, _ = made()
    model = layer()
    after_steps(adam, model, [1.0, 2.0])
    other, times = made()
    copy = layer()
    copy.load_state_dict(model.state_dict())

    other.load_state_dict(through_a_file(adam.state_dict()))

    assert times == []
    assert same(through_a_file(other.state_dict()), through_a_file(adam.state_dict()))  # saved again before any use
    assert after_steps(other, copy, [3.0]) == after_steps(adam, model, [3.0])
    assert same(through_a_file(other.state_dict()), through_a_file(adam.state_dict()))


@pytest.mark.parametrize("used", [False, True])
def test_renewing_forgets_moments_that_were_loaded_too(used: bool):
    adam, _ = made()
    after_steps(adam, layer(), [1.0, 2.0])
    other, _ = made()
    other.load_state_dict(through_a_file(adam.state_dict()))
    if used:
        after_steps(other, layer(), [3.0])

    other.renew()

    fresh, _ = made()
    assert after_steps(other, layer(), [-5.0, 1.0]) == after_steps(fresh, layer(), [-5.0, 1.0])


def test_moments_loaded_over_others_replace_them():
    adam, _ = made()
    model = layer()
    saved = through_a_file(adam.state_dict())  # of an optimiser that was never used
    after_steps(adam, model, [1.0, 2.0])

    adam.load_state_dict(saved)
    nn.init.zeros_(model.weight)

    assert after_steps(adam, model, [7.0]) == pytest.approx(-0.1)


class Plain(Stateful):
    """A module and an optimiser of torch, which know nothing of data that grow."""

    def __init__(self, rows: int, size: int = 2) -> None:
        self.shift = nn.Embedding(rows, size)
        nn.init.zeros_(self.shift.weight)
        self.adam = torch.optim.Adam(self.shift.parameters(), lr=0.1)

    def step(self, *ids: int) -> None:
        self.adam.zero_grad()
        self.shift(torch.tensor(ids)).sum().backward()
        self.adam.step()


def test_modules_and_optimisers_of_torch_are_taken_over_by_more_rows():
    early, grown, whole = Plain(3), Plain(5), Plain(5)
    early.step(0, 2)
    whole.step(0, 2)

    grown.load_state_dict(through_a_file(early.state_dict()))
    for one in (grown, whole):
        one.step(1, 4)

    assert torch.equal(grown.shift.weight, whole.shift.weight)
    assert same(through_a_file(grown.state_dict()), through_a_file(whole.state_dict()))


def test_a_module_of_another_width_is_refused_by_name():
    early = Plain(3, size=4)

    with pytest.raises(ConfigError, match=r"Embedding cannot grow: weight was learned as \(3, 4\)"):
        Plain(5).load_state_dict(through_a_file(early.state_dict()))


class Counting(nn.Module):
    """A module whose state is more than tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def get_extra_state(self) -> int:
        return self.count

    def set_extra_state(self, state: int) -> None:
        self.count = state


class Counted(Stateful):
    def __init__(self) -> None:
        self.counting = Counting()


def test_a_module_may_keep_more_than_tensors():
    first, second = Counted(), Counted()
    first.counting.count = 3

    second.load_state_dict(through_a_file(first.state_dict()))

    assert second.counting.count == 3
