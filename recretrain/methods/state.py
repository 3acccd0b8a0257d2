"""State is named parts: what has a state saves and loads all of it, so that no class writes its own loading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from recretrain.backbones.base import grown, over_rows


@runtime_checkable
class Part(Protocol):
    """Anything with a state of tensors and plain builtins: a module, an optimiser, a memory, a `Stateful`."""

    def state_dict(self) -> Mapping[str, Any]: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class Stateful:
    """Saves and loads every attribute that is a `Part`, and the plain ones that `kept` names.

    A value in `kept` is a tensor, a number, text, None, or a mapping or list of these; a tensor goes back to the
    device of the one it replaces, or stays where it was loaded. One with fewer rows than that, as the data have grown,
    keeps the last of its rows.
    """

    kept: ClassVar[tuple[str, ...]] = ()

    def parts(self) -> Iterator[tuple[str, Part]]:
        """The attributes with a state of their own, by name."""
        for name, value in vars(self).items():
            if isinstance(value, Part) and not isinstance(value, type):  # a class that is to be made is no part
                yield name, value

    def state_dict(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in self.kept}
        return {**{name: part.state_dict() for name, part in self.parts()}, **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave. Raises ValueError where the names differ."""
        parts = dict(self.parts())
        names = {*parts, *self.kept}
        if state.keys() != names:
            raise ValueError(f"{type(self).__name__} has the state {sorted(names)}, not {sorted(state)}")
        for name, value in state.items():
            if name in parts:
                parts[name].load_state_dict(_of_now(parts[name], value))
            else:
                setattr(self, name, _placed(value, getattr(self, name)))


class Made(Stateful):
    """An optimiser that is made at its first use, over the parameters it is then given, and can be begun anew."""

    def __init__(self, make: Callable[[list[nn.Parameter]], Optimizer]) -> None:
        self._make = make
        self._optimizer: Optimizer | None = None
        self._loaded: Mapping[str, Any] | None = None

    def over(self, model: nn.Module) -> Optimizer:
        if self._optimizer is None:
            self._optimizer = self._make(list(model.parameters()))
            if self._loaded is not None:
                self._optimizer.load_state_dict(_of_these(self._optimizer, self._loaded))
        return self._optimizer

    def renew(self) -> None:
        """Forget the moments."""
        self._optimizer = self._loaded = None

    def state_dict(self) -> dict[str, Any]:
        if self._optimizer is None:
            return {"state": self._loaded}
        return {"state": self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._loaded, self._optimizer = state["state"], None


def _of_now(part: Part, state: Any) -> Any:
    """A state for a part as it is now: modules and optimisers of torch do not know that users and items may have come.

    Raises ConfigError where more than rows were added.
    """
    if isinstance(part, Optimizer):
        return _of_these(part, state)
    if type(part).load_state_dict is not nn.Module.load_state_dict:  # it has its own way
        return state
    assert isinstance(part, nn.Module)
    return grown(part, state, by_id=state.keys())


def _placed(value: Any, before: Any) -> Any:
    if not (isinstance(value, Tensor) and isinstance(before, Tensor)):
        return value
    return over_rows(value.to(before.device), before)


def _of_these(optimizer: Optimizer, loaded: Mapping[str, Any]) -> dict[str, Any]:
    """A state for the optimiser's parameters as they are now: moments of rows that came since are zeros."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    grown = {
        place: {
            name: over_rows(value, torch.zeros_like(parameters[place])) if isinstance(value, Tensor) else value
            for name, value in moments.items()
        }
        for place, moments in loaded["state"].items()
    }
    return {**loaded, "state": grown}
