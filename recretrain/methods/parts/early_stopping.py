"""Early stopping keeps what was best on the validation part, and its optimiser's moments with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer


class EarlyStopping:
    """ADER, spec (f): at most `epochs`; one that does not exceed the best fails; `patience` failures in a row end."""

    def __init__(self, *, epochs: int, patience: int) -> None:
        self.epochs = epochs
        self.patience = patience

    def __call__(
        self, model: nn.Module, optimizer: Optimizer, *, epoch: Callable[[], None], measure: Callable[[], float]
    ) -> list[float]:
        """Leaves `model` and `optimizer` as they were after the best epoch; returns what was measured."""
        kept, measured, failures = None, [float("-inf")], 0
        for _ in range(self.epochs):
            epoch()
            found = measure()
            failures = 0 if found > max(measured) else failures + 1
            measured.append(found)
            if not failures:
                kept = copied(model.state_dict()), copied(optimizer.state_dict())
            elif failures == self.patience:
                break
        if kept is not None:
            model.load_state_dict(kept[0])
            optimizer.load_state_dict(kept[1])
        return measured[1:]


def copied(state: Any) -> Any:
    """A state of its own: what is trained later does not change it."""
    if isinstance(state, Tensor):
        return state.detach().clone()
    if isinstance(state, Mapping):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value) for value in state)
    return state
