"""Early stopping keeps what was best on the validation part, and its optimiser's moments with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer


class EarlyStopping:
    """ader.md (f): at most `epochs`; one that does not exceed the best fails; `patience` failures in a row end.

    Nothing ends before `least` epochs: a random network may stand still for long.
    """

    def __init__(self, *, epochs: int, patience: int, least: int = 0) -> None:
        self.epochs = epochs
        self.patience = patience
        self.least = least

    def __call__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        epoch: Callable[[], None],
        measure: Callable[[], float],
        note: Callable[[float], None] | None = None,
    ) -> list[float]:
        """Leaves `model` and `optimizer` as they were after the best epoch; returns what was measured.

        `note` is told each value at once.
        """
        kept, measured, failures = None, [float("-inf")], 0
        for _ in range(self.epochs):
            epoch()
            found = measure()
            if note is not None:
                note(found)
            failures = 0 if found > max(measured) else failures + 1
            measured.append(found)
            if not failures:
                kept = copied((model.state_dict(), optimizer.state_dict()), into=kept)
            elif failures >= self.patience and len(measured) > self.least:
                break
        if kept is not None:
            model.load_state_dict(kept[0])
            optimizer.load_state_dict(kept[1])
        return measured[1:]


def copied(state: Any, *, into: Any = None) -> Any:
    """A state of its own, that later training does not change; in the memory of an earlier one of the same shape."""
    if isinstance(state, Tensor):
        return state.detach().clone() if into is None else into.copy_(state.detach())
    if isinstance(state, Mapping):
        return {key: copied(value, into=into[key] if into else None) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(copied(value, into=into[place] if into else None) for place, value in enumerate(state))
    return state
