from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recretrain.engine import changes as module
from recretrain.engine.changes import changes, whole

ROWS, WIDTH = 4000, 3
TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int8, torch.bool]
ODD = [float("nan"), -0.0, float("inf"), 1.0]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST", 1000)


def written(value: Any) -> Any:
    """The value after a file, as the store reads it."""
    file = io.BytesIO()
    torch.save(value, file)
    return torch.load(io.BytesIO(file.getvalue()), weights_only=True)


def table(kind: torch.dtype = torch.float32, rows: int = ROWS) -> Tensor:
    return (torch.arange(rows * WIDTH).reshape(rows, WIDTH) % 2).to(kind)


def bits(state: Any) -> Any:
    """A state in which tensors are their type, shape and bytes."""
    if isinstance(state, Tensor):
        return state.dtype, state.shape, state.contiguous().reshape(-1).view(torch.uint8).tolist()
    if isinstance(state, Mapping):
        return [(key, bits(value)) for key, value in state.items()]
    if isinstance(state, list):
        return [bits(value) for value in state]
    return state


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_what_has_changed_and_the_base_give_the_state_bit_for_bit(data: st.DataObject):
    kinds = data.draw(st.lists(st.sampled_from(TYPES), min_size=1, max_size=4))
    base = {"model": OrderedDict((f"t{place}", table(kind)) for place, kind in enumerate(kinds)), "step": 1}
    state: dict[str, Any] = {"model": OrderedDict(), "step": 2, "log": [torch.ones(2)]}
    for name, before in base["model"].items():
        now = torch.cat([before, table(before.dtype, data.draw(st.integers(0, 40)))])
        numbers = st.sampled_from(ODD if now.is_floating_point() else [0, 1])
        for row in data.draw(st.lists(st.integers(0, ROWS - 1), max_size=20)):
            now[row, data.draw(st.integers(0, WIDTH - 1))] = data.draw(numbers)
        state["model"][name] = now

    told = changes(state, written(base))

    assert told is not None
    assert bits(whole(written(told), written(base))) == bits(state)


def test_only_changed_rows_are_kept():
    base = {"table": table()}
    now = base["table"].clone()
    now[[5, 7]] += 1
    now[9, 0] = -0.0 if now[9, 0] == 0 else now[9, 0]
    now[8, 0] = -0.0 if now[8, 0] == 0 else now[8, 0]

    told = changes({"table": now}, base)

    assert told is not None
    rows, values, count = told["rows"][("table",)]
    assert rows.tolist() == [5, 7, 8]  # a zero that has got a sign is another one
    assert (values.shape, count, told["rest"]) == ((3, WIDTH), ROWS, {"table": None})


def test_what_a_module_says_of_its_state_is_kept():
    model = nn.Sequential(nn.Embedding(ROWS, 4))
    base = written({"model": model.state_dict()})
    with torch.no_grad():
        model[0].weight[3] += 1

    told = changes({"model": model.state_dict()}, base)

    found = whole(written(told), base)["model"]
    assert found._metadata == model.state_dict()._metadata
    assert list(found) == ["0.weight"]


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (table()[:-1].clone(), table()),
        (table(torch.float64), table()),
        (torch.zeros(ROWS, WIDTH + 1), table()),
        (table().requires_grad_(), table()),
        (table().t(), table().t().contiguous()),
        (torch.cat([table()[: ROWS // 2] + 1, table()[ROWS // 2 :]]), table()),
    ],
    ids=["fewer_rows", "another_type", "wider", "learnable", "turned", "half_changed"],
)
def test_a_table_of_which_rows_cannot_be_kept_is_kept_as_it_is(now: Tensor, then: Tensor):
    other = torch.zeros(20 * ROWS)

    told = changes({"table": now, "other": other}, {"table": then, "other": other})

    assert told is not None
    assert list(told["rows"]) == [("other",)]
    assert told["rest"]["table"] is now


def test_a_small_table_is_kept_as_it_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LEAST", table().nbytes + 1)
    state = {"table": table(), "large": torch.zeros(20 * ROWS)}

    told = changes(state, state)

    assert told is not None
    assert list(told["rows"]) == [("large",)]


def test_where_most_rows_have_changed_that_is_seen_by_a_few_of_them(monkeypatch: pytest.MonkeyPatch):
    compared = []
    real = module._differ
    monkeypatch.setattr(module, "_differ", lambda ours, theirs: compared.append(len(ours)) or real(ours, theirs))

    assert changes({"table": table() + 1}, {"table": table()}) is None
    assert sum(compared) == 1000


@pytest.mark.parametrize(("share", "pays"), [(0.1, True), (0.45, False)])
def test_changes_that_take_half_of_the_state_do_not_pay(share: float, pays: bool):
    """A row of 12 bytes and the 8 that tell which it is."""
    now = table()
    now[: int(share * ROWS)] += 1

    assert (changes({"table": now}, {"table": table()}) is not None) is pays


def test_what_is_kept_whole_counts_too():
    state = {"table": table(), "moments": [torch.zeros(ROWS, WIDTH + 1)]}

    assert changes(state, {"table": table()}) is None


def test_tables_that_shared_their_numbers_in_the_base_are_told_apart():
    shared = table()
    base = written({"a": shared, "b": shared})
    now = table()
    now[3] += 1

    found = whole(written(changes({"a": now, "b": table()}, base)), base)

    assert torch.equal(found["a"], now)
    assert torch.equal(found["b"], table())
