"""Optimisers of tables: Adam over whole tables, Adam for the rows of a batch alone, and plain steps of such rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.adam import adam

from recretrain.backbones.tables import RowGradients, TableGradient, clear_gradient, keep_apart, taken_apart

OptimizerName: TypeAlias = Literal["dense", "rows", "sgd"]

_TILE = 64  # rows: whole vectors of any processor, so that rows round the same however many are moved with them


def optimizer_of(name: OptimizerName, weights: list[nn.Parameter], *, learning_rate: float) -> Optimizer:
    """Make the optimiser of this name over `weights`.

    `dense`: Adam over whole tables. `rows`: Adam for the rows that a batch reads, whose step costs the same whatever
    the size of a table. `sgd`: steps of such rows without moments.
    """
    kinds: dict[OptimizerName, Callable[..., Optimizer]] = {"dense": DenseAdam, "rows": RowAdam, "sgd": RowSGD}
    return kinds[name](weights, learning_rate=learning_rate)


class DenseAdam(Adam):
    """Adam over whole tables, fused: rows without a gradient move on by their moments (sml.md, T3).

    On a CPU the rows behind the last that ever had a gradient are left out, as they would not move: ids are given in
    the order of their first rows, so that early periods know the first of them only.
    """

    replays = True  # a step on a GPU asks nothing of the host and can be recorded

    def __init__(self, parameters: list[nn.Parameter], *, learning_rate: float, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, lr=learning_rate, weight_decay=weight_decay, fused=True)
        self._met: dict[Tensor, int] = {}  # how many rows of a table, from the first, may move

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of tables, which are kept; other parameters lose theirs as usual."""
        for parameter in parameters_of(self):
            clear_gradient(parameter)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move every row that has, or ever had, a gradient."""
        parted = {}
        for parameter in parameters_of(self):
            gradient = parameter.grad
            if (
                isinstance(gradient, TableGradient)
                and gradient.dim() == 2
                and (met := self._rows_met(parameter, gradient)) < len(parameter)
            ):
                parted[parameter] = met, gradient
                parameter.grad = None  # passed over by the step of the others
        result = super().step(closure)
        (group,) = self.param_groups
        for parameter, (met, gradient) in parted.items():
            parameter.grad = gradient
            if met:
                first, second = _moments(parameter, self.state[parameter])
                _move(parameter[:met], gradient[:met], first[:met], second[:met], self.state[parameter], group)
        return result

    def load_state_dict(self, state: Any) -> None:
        super().load_state_dict(state)
        self._met = {}

    def _rows_met(self, table: Tensor, gradient: TableGradient) -> int:
        """How many rows from the first may move."""
        (group,) = self.param_groups
        if group["weight_decay"] or table.device.type != "cpu":
            return len(table)
        met = self._met[table] if table in self._met else _rows_with_moments(self.state.get(table, {}))
        if met < len(table):
            rows = gradient.rows()
            until = len(table) if rows is None else max((int(ids.max()) + 1 for ids in rows if len(ids)), default=0)
            met = max(met, min(len(table), -(-until // _TILE) * _TILE))
        self._met[table] = met
        return met


class TensorFlowAdam(DenseAdam):
    """The same with epsilon where TensorFlow adds it: to the root of the moment before its bias is corrected."""

    replays = False
    _EPSILON = 1e-8

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            state = next((self.state[p] for p in group["params"] if p in self.state), None)
            steps = 1 + (float(state["step"]) if state else 0.0)
            group["eps"] = self._EPSILON / (1 - group["betas"][1] ** steps) ** 0.5
        return super().step(closure)


class _ByRows(Optimizer):
    """Before an optimiser of torch: tables of which rows alone have gradients are moved by these rows, others by it."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop all gradients, and have those of rows kept apart."""
        for parameter in parameters_of(self):
            keep_apart(parameter)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Move the rows with a gradient."""
        found = {parameter: taken_apart(parameter) for parameter in parameters_of(self)}
        result = super().step(closure)
        (group,) = self.param_groups
        for table, gradients in found.items():
            if gradients is not None:
                self._move_rows(table, gradients, group)
        return result

    @abstractmethod
    def _move_rows(self, table: Tensor, gradients: RowGradients, group: Mapping[str, Any]) -> None: ...


class RowAdam(_ByRows, Adam):
    """Adam for the rows that were read since the last step: those that were not keep their place and moments.

    Another optimiser than Adam over whole tables, where a row goes on by its momentum. Bias is corrected by the steps
    of the table, as torch's SparseAdam and TensorFlow's LazyAdam do. A gradient that is written as a whole, such as
    of a soft-max over all items, moves all rows.
    """

    def __init__(self, parameters: list[nn.Parameter], *, learning_rate: float) -> None:
        super().__init__(parameters, lr=learning_rate, fused=True)

    def _move_rows(self, table: Tensor, gradients: RowGradients, group: Mapping[str, Any]) -> None:
        ids, gradient = gradients.summed()
        held = (table, *_moments(table, self.state[table]))
        rows, first, second = (tensor.index_select(0, ids) for tensor in held)
        _move(rows, gradient, first, second, self.state[table], group)
        for tensor, moved in zip(held, (rows, first, second), strict=True):
            tensor.index_copy_(0, ids, moved)


class RowSGD(_ByRows, SGD):
    """Plain steps, without moments, of the rows that were read since the last one."""

    replays = True

    def __init__(self, parameters: list[nn.Parameter], *, learning_rate: float) -> None:
        super().__init__(parameters, lr=learning_rate)

    def _move_rows(self, table: Tensor, gradients: RowGradients, group: Mapping[str, Any]) -> None:
        for ids, gradient in gradients.parts:
            if table.device.type == "cpu":  # the same numbers as by `index_add_`, which takes twice the time to scale
                step = torch.sparse_coo_tensor(ids.unsqueeze(0), gradient, table.shape, check_invariants=False)
                table.add_(step, alpha=-group["lr"])
            else:
                table.index_add_(0, ids, gradient, alpha=-group["lr"])


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """All that the optimiser moves."""
    return (parameter for group in optimizer.param_groups for parameter in group["params"])


def _moments(table: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Both moments of Adam, zeros at first.  # [N, d], [N, d]"""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.float32, device=table.device)
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
    return state["exp_avg"], state["exp_avg_sq"]


def _move(
    rows: Tensor, gradient: Tensor, first: Tensor, second: Tensor, state: dict[str, Tensor], group: Mapping[str, Any]
) -> None:
    """Make a step of Adam in place, of these rows and their moments; counts it as a step of the table."""
    adam(
        [rows], [gradient], [first], [second], [], [state["step"]],
        fused=True, amsgrad=False, beta1=group["betas"][0], beta2=group["betas"][1], lr=group["lr"],
        weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
    )  # fmt: skip


def _rows_with_moments(state: Mapping[str, Tensor]) -> int:
    """How many rows of a table, from the first, have moments: whole tiles."""
    if not state:
        return 0
    moving = torch.nonzero((state["exp_avg"] != 0).any(1) | (state["exp_avg_sq"] != 0).any(1))
    return -(-(int(moving[-1]) + 1) // _TILE) * _TILE if len(moving) else 0
