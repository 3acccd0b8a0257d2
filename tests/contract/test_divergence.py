"""A step size at which training diverges ends with one message, for every method that has one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from recretrain.engine.runner import answered, check_finite
from recretrain.errors import Mistake
from recretrain.testing import Case, case, learn
from tests.contract.shipped import SHIPPED


def step_sizes(node: Any, path: str = "method") -> Iterator[str]:
    """The dotted keys of all learning rates."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from [f"{path}.{key}"] if key == "learning_rate" else step_sizes(value, f"{path}.{key}")


RATES = [(name, key) for name, (own, *_) in SHIPPED.items() for key in step_sizes(own.settings.method)]


def test_there_are_step_sizes() -> None:
    assert ("sml", "method.transfer.learning_rate") in RATES
    assert ("melu", "method.local.learning_rate") in RATES
    assert len({name for name, _ in RATES}) > 15


@pytest.mark.parametrize(("name", "key"), RATES)
def test_a_step_size_out_of_all_bounds_is_a_mistake_or_harmless(name: str, key: str, tmp_path: Path) -> None:
    """Either the message that says what to lower, or figures that are finite: never a traceback, never NaN."""
    broken = case(name, f"{key}=1e30")

    values, message = [], "lower the learning rate"
    try:
        values = run(broken, tmp_path / "s")
    except Mistake as mistake:
        message = str(mistake)

    assert "lower the learning rate" in message
    assert torch.isfinite(torch.tensor(values)).all()


def run(broken: Case, folder: Path) -> list[float]:
    stream = broken.stream(folder)
    method = broken.method(stream)
    values = []
    for task in broken.tasks(stream):
        learn(method, task)
        check_finite(method, task)
        values += [row.value for row in answered(method, task, broken.evaluator, torch.device("cpu")).rows]
    return values


def test_most_methods_do_diverge_at_it(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"not finite|NaN"):
        run(case("fine_tune", "method.learner.learning_rate=1e30"), tmp_path / "s")
