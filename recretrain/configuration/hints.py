"""Type hints as the schema of YAML values: whether a value fits, and the allowed values in words."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from recretrain.configuration.messages import did_you_mean
from recretrain.values import Constraint

UNIONS = (Union, types.UnionType)
LARGEST = {int: 10**12, bool: 1, float: 3e38}  # more is nothing that could be counted, or held in 32 bits
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


class Misfit(NamedTuple):
    """A value that does not fit: the innermost one, with its dotted path and the hint it must satisfy."""

    path: str
    value: Any
    hint: Any

    def __str__(self) -> str:
        """One sentence with the culprit, the allowed values and the cure."""
        allowed = _in_words_for(self.value, self.hint)
        return f"{self.path}={in_yaml(self.value)} must be {allowed}; {self._cure()}"

    def _cure(self) -> str:
        if node_classes(self.hint):
            return f"set its keys one by one, {self.path}.<key>=..."
        near = did_you_mean(self.value, map(str, choices(self.hint))) if isinstance(self.value, str) else ""
        return near.strip() or f"change {self.path}"


def misfit(path: str, value: Any, hint: Any) -> Misfit | None:
    """The first value at or below `path` that cannot be passed where `hint` is asked for; None if all can."""
    if fits(value, hint):
        return None
    return _inner(path, value, hint) or Misfit(path, value, hint)


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain YAML value can be passed where `hint` is asked for; a class asks for a node with a target."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, arguments[0]) and all(limit.holds(value) for limit in _constraints(hint))
    if origin in UNIONS:
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return any(type(value) is type(argument) and value == argument for argument in arguments)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST[float]
    if hint is int:
        return type(value) is int and abs(value) <= LARGEST[int]
    if hint in (bool, str, types.NoneType):
        return type(value) is hint
    if _is(hint, Mapping):
        return isinstance(value, Mapping) and all(fits(item, arguments[1]) for item in value.values() if arguments)
    if _is(hint, Sequence):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value if arguments)
    return not _asks_for_node(hint) or (isinstance(value, Mapping) and "_target_" in value)


def in_words(hint: Any) -> str:
    """The allowed values, as they follow `must be`."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return ", ".join([in_words(arguments[0]), *map(str, _constraints(hint))])
    if origin in UNIONS:
        parts = [in_words(argument) for argument in arguments]
        return (", or " if any("," in part for part in parts) else " or ").join(parts)
    if origin is Literal:
        return "one of " + ", ".join(in_yaml(argument).strip("'") for argument in arguments)
    if _is(hint, Mapping):
        return "a mapping {key: value}"
    if _is(hint, Sequence):
        return "a list"
    if _asks_for_node(hint):
        name = (origin or hint).__name__
        return f"keys with a _target_ ({'an' if name[0] in 'AEIOU' else 'a'} {name})"
    return WORDS.get(hint, str(hint))


def in_yaml(value: Any, text: Callable[[str], str] = repr) -> str:
    """A value as one would write it on the command line; `text` quotes what is text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{', '.join(in_yaml(item, text) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {in_yaml(item, text)}" for key, item in value.items()) + "}"
    return text(value) if isinstance(value, str) else str(value)


def choices(hint: Any) -> list[Any]:
    """The values that the Literals of a hint list."""
    arguments = get_args(hint)
    if get_origin(hint) is Literal:
        return list(arguments)
    return [choice for argument in arguments for choice in choices(argument)]


def node_classes(hint: Any) -> tuple[type, ...]:
    """The classes whose objects a hint asks for, which YAML can only give as nodes."""
    alternatives = get_args(hint) if get_origin(hint) in UNIONS else (hint,)
    return tuple(get_origin(found) or found for found in alternatives if _asks_for_node(found))


def _inner(path: str, value: Any, hint: Any) -> Misfit | None:
    """The misfit inside a list or mapping where `hint` asks for one."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _inner(path, value, arguments[0])
    if origin in UNIONS:
        return next(filter(None, (_inner(path, value, argument) for argument in arguments)), None)
    items: list[tuple[str, Any, Any]] = []
    if _is(hint, Mapping) and isinstance(value, Mapping) and arguments:
        items = [(f"{path}.{key}", item, arguments[1]) for key, item in value.items()]
    elif _is(hint, Sequence) and isinstance(value, list) and arguments:
        items = [(f"{path}[{index}]", item, arguments[0]) for index, item in enumerate(value)]
    return next(filter(None, (misfit(*item) for item in items)), None)


def _in_words_for(value: Any, hint: Any) -> str:
    allowed = in_words(hint)
    if not isinstance(value, int | float) or abs(value) <= LARGEST[type(value)]:
        return allowed
    if not math.isfinite(value):
        return allowed.replace("a number", "a finite number", 1)
    largest = {
        WORDS[kind]: f"{WORDS[kind]} of no more than {most:g}" for kind, most in LARGEST.items() if kind is not bool
    }
    return next((allowed.replace(words, limit, 1) for words, limit in largest.items() if words in allowed), allowed)


def _constraints(hint: Any) -> list[Constraint]:
    return [extra for extra in hint.__metadata__ if isinstance(extra, Constraint)]


def _is(hint: Any, kind: type) -> bool:
    """Whether a hint is a Mapping or a Sequence, with or without arguments; text is neither."""
    found = get_origin(hint) or hint
    return isinstance(found, type) and issubclass(found, kind) and found is not str


def _asks_for_node(hint: Any) -> bool:
    found = get_origin(hint) or hint
    plain = (*WORDS, object, Any, Annotated)
    return isinstance(found, type) and found not in plain and not _is(found, Mapping) and not _is(found, Sequence)
