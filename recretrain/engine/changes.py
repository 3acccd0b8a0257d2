"""A state is told by the rows in which it differs from an earlier, whole one, where that is much less than all."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

LEAST = 2**20  # bytes of a tensor of which only rows are kept, and of a state that is not always written whole
_SHARE = 0.5  # of the bytes of a tensor, or of a state: changes that are more are not kept as such
_PROBED = 1000  # rows of a tensor by which it is seen cheaply that most have changed
_BLOCK = 2**16  # rows compared together
_INDEX = 8  # bytes that tell which row a changed one is

Place = tuple[Any, ...]  # the keys that lead to a tensor of a nested mapping


def changes(state: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `whole` makes `state` of, given `base`; None where most of it has changed.

    Tensors of at least `LEAST` bytes with the shape of that in `base`, but for more rows perhaps, are kept as the rows
    whose bits differ. All else is kept as it is, in `rest`.
    """
    before, now = dict(_tensors(base)), dict(_tensors(state))
    found = {place: _changed_rows(table, before.get(place)) for place, table in now.items()}
    kept = {place: rows for place, rows in found.items() if rows is not None}
    saved = sum(now[place].nbytes - _bytes(now[place], rows) for place, rows in kept.items())
    if saved <= (1 - _SHARE) * _bytes_of(state):
        return None
    told = {place: (rows, now[place][rows.to(now[place].device)], len(now[place])) for place, rows in kept.items()}
    return {"rows": told, "rest": _without(state, kept)}


def whole(told: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """The state that `changes(state, base)` tells of, bit for bit. Takes over `told`."""
    state: dict[str, Any] = told["rest"]
    before = dict(_tensors(base))
    for place, (rows, values, count) in told["rows"].items():
        then = before[place]
        now = then.new_empty(count, *then.shape[1:])
        now[: len(then)] = then
        now[rows] = values
        _node(state, place)[place[-1]] = now
    return state


def _tensors(state: Mapping[Any, Any], above: Place = ()) -> Iterator[tuple[Place, Tensor]]:
    """The plain tensors with rows in a nested mapping, each with its place."""
    for key, value in state.items():
        if isinstance(value, Mapping):
            yield from _tensors(value, (*above, key))
        elif type(value) is Tensor and value.layout is torch.strided and value.dim() and value.is_contiguous():
            yield (*above, key), value


def _changed_rows(now: Tensor, then: Tensor | None) -> Tensor | None:
    """The rows of `now` that `then` has not, bit for bit; None where it pays to keep all of them.  # [R] int64"""
    if then is None or now.nbytes < LEAST or not _is_alike(now, then):
        return None
    ours, theirs = _words(now[: len(then)]), _words(then)
    probed = torch.linspace(0, len(then) - 1, min(_PROBED, len(then))).long()
    if _differ(ours[probed.to(now.device)], theirs[probed]).double().mean() > _SHARE:
        return None
    blocks = [_differ(a, b) for a, b in zip(torch.split(ours, _BLOCK), torch.split(theirs, _BLOCK), strict=True)]
    new = torch.ones(len(now) - len(then), dtype=torch.bool)
    rows = torch.nonzero(torch.cat([*blocks, new])).squeeze(1)
    return rows if _bytes(now, rows) < _SHARE * now.nbytes else None


def _is_alike(now: Tensor, then: Tensor) -> bool:
    """Whether rows of one can stand in the other."""
    rows = 0 < len(then) <= len(now)
    return rows and now.dtype is then.dtype and now.shape[1:] == then.shape[1:] and not now.requires_grad


def _words(table: Tensor) -> Tensor:
    """The bits of each row as whole numbers.  # [N, W]"""
    rows = table.reshape(len(table), -1)
    size = rows.shape[1] * rows.itemsize
    return rows.view(torch.int64 if size % 8 == 0 else torch.int32 if size % 4 == 0 else torch.uint8)


def _differ(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours.cpu() != theirs).any(1)


def _bytes(table: Tensor, rows: Tensor) -> int:
    """What these rows of a table take."""
    return len(rows) * (table.nbytes // len(table) + _INDEX)


def _bytes_of(value: Any) -> int:
    """What all tensors of a state take."""
    if isinstance(value, Tensor):
        return value.nbytes
    parts: Sequence[Any] = list(value.values()) if isinstance(value, Mapping) else value
    return sum(map(_bytes_of, parts)) if isinstance(value, Mapping | list | tuple) else 0


def _without(state: Mapping[str, Any], places: Mapping[Place, Tensor]) -> Any:
    """A copy with None at these places; the keys keep their order."""
    found = _copied(state)
    for place in places:
        _node(found, place)[place[-1]] = None
    return found


def _copied(state: Any) -> Any:
    """A copy of nested mappings, of the kinds that they are, which holds the same values."""
    found = copy.copy(state)
    for key, value in state.items():
        if isinstance(value, Mapping):
            found[key] = _copied(value)
    return found


def _node(state: Any, place: Place) -> Any:
    for key in place[:-1]:
        state = state[key]
    return state
