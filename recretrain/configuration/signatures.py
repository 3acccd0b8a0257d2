"""A `_target_` node's schema is the constructor it names: unknown, missing and ill-typed values stop before a run."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

from recretrain.configuration.compose import Schema, explained
from recretrain.configuration.messages import choose_from
from recretrain.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

ENGINE_GIVEN = frozenset({"backbone", "vocabulary"})  # constructor arguments that the engine passes, and conf/ does not
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def check(config: DictConfig) -> None:
    """Raise ConfigError for the first value that cannot be built."""
    from omegaconf import OmegaConf

    with explained():
        values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    _check_names("", values, Schema.__dataclass_fields__, required=())
    for path, node in nodes(values):
        check_node(path, node)


def nodes(values: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node that names one of our classes, with its dotted path."""
    if isinstance(values, Mapping):
        if str(values.get("_target_", "")).startswith("recretrain."):
            yield path, values
        for key, value in values.items():
            yield from nodes(value, f"{path}.{key}".lstrip("."))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from nodes(value, f"{path}[{index}]")


def check_node(path: str, node: Mapping[str, Any]) -> None:
    """Compare one `_target_` node with the signature of its constructor."""
    parameters = constructor_parameters(node["_target_"])
    required = [p.name for p in parameters.values() if p.default is p.empty and p.name not in ENGINE_GIVEN]
    values = {key: value for key, value in node.items() if not key.startswith("_")}
    _check_names(path, values, parameters.keys() - ENGINE_GIVEN, required)
    hints = _type_hints(node["_target_"])
    for key, value in values.items():
        if key in hints and not fits(value, hints[key]):
            raise ConfigError(f"{path}.{key}={value!r} must be {in_words(hints[key])}; change {path}.{key}")


def constructor_parameters(target: str) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a class or function, by name."""
    parameters = inspect.signature(_resolve(target)).parameters
    return {name: p for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain YAML value can be passed where `hint` is asked for; true when in doubt."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if hint in (int, float):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    if hint in (bool, str, types.NoneType):
        return isinstance(value, hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return isinstance(value, list) and all(fits(item, arguments[0]) for item in value if arguments)
    return True


def in_words(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(argument) for argument in arguments)
    if origin is Literal:
        return "one of " + ", ".join(str(argument) for argument in arguments)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return "a list"
    return WORDS.get(hint, str(hint))


def _check_names(path: str, values: Mapping[str, Any], known: Iterable[str], required: Sequence[str]) -> None:
    name = path or "the configuration"
    for key in values:
        if key not in known:
            raise ConfigError(f"{name} has no key '{key}'; {choose_from(key, known, 'keys')}")
    for key in required:
        if key not in values:
            raise ConfigError(f"{path}.{key} has no value; give {path}.{key}=...")


def _type_hints(target: str) -> dict[str, Any]:
    found = _resolve(target)
    try:
        return get_type_hints(vars(found).get("__init__", found) if isinstance(found, type) else found)
    except NameError:  # a name imported for type checkers only
        return {}


def _resolve(target: str) -> Any:
    from hydra.errors import HydraException
    from hydra.utils import get_object

    try:
        return get_object(target)
    except HydraException as error:
        raise ConfigError(f"_target_: {target} cannot be imported: {error}") from error
