"""A `_target_` node's schema is the constructor it names: unknown, missing and ill-typed values stop before a run."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

from recretrain.configuration.compose import Schema, conf_dir, explained
from recretrain.configuration.hints import in_words, misfit, node_classes
from recretrain.configuration.imports import resolve
from recretrain.configuration.messages import no_such_key
from recretrain.errors import ConfigError, Unfit
from recretrain.values import Amount, AtLeast0, Given

if TYPE_CHECKING:
    from omegaconf import DictConfig

ENGINE_GIVEN = frozenset({"backbone", "vocabulary"})  # constructor arguments that the engine passes, and conf/ does not
TOP = {  # ranges of values outside the nodes
    "seed": AtLeast0,
    "paths.memory": Amount,
    **{f"paths.{name}": Given for name in ("data", "cache", "outputs")},
}
GROUPS = {  # nodes that every run has, each of a class, and what it derives from, or can do
    "schedule": ("tasks", "roles"),
    "backbone": "recretrain.backbones.base.Backbone",
    "eval": ("answer",),
    "method": "recretrain.methods.base.RetrainMethod",
    "data": "recretrain.preparation.sources.base.Source",
    "trainer": "recretrain.engine.machine.Machine",
}


def check(config: DictConfig, *, under: Sequence[str] = ("",)) -> None:
    """Raise ConfigError for the first value that cannot be built.

    `under` keeps the check to the nodes below these keys, so that only their classes are imported.
    """
    from omegaconf import OmegaConf

    with explained():
        values: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        of_top = {path: OmegaConf.select(config, path) for path in TOP}
    _check_names("", values, Schema.__dataclass_fields__, required=(), within=values)
    for path, hint in TOP.items():
        _check_value(path, of_top[path], hint)
    for group in (*GROUPS, *(["logger"] if values["logger"] else [])):
        if not isinstance(values[group], Mapping) or "_target_" not in values[group]:
            raise ConfigError(f"{group} names no class; choose {group}=..., or set {group}._target_ in its file")
    for path, node in nodes(values):
        if any(f"{path}.".startswith(f"{key}." if key else "") for key in under):
            check_node(path, node, within=values)


def nodes(values: Any, path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node that names a class or function, with its dotted path; a node precedes those inside it."""
    if isinstance(values, Mapping):
        if "_target_" in values:
            yield path, values
        for key, value in values.items():
            yield from nodes(value, f"{path}.{key}".lstrip("."))
    elif isinstance(values, list):
        for index, value in enumerate(values):
            yield from nodes(value, f"{path}[{index}]")


def check_node(path: str, node: Mapping[str, Any], *, within: Mapping[str, Any]) -> None:
    """Compare a node of the configuration `within` with the signature of its target; those of others are left alone."""
    target = resolve(path, node["_target_"])
    if path in GROUPS:
        _check_role(path, node["_target_"], target)
    if not is_ours(target):
        return
    parameters = _parameters(target)
    required = [p.name for p in parameters.values() if p.default is p.empty and p.name not in ENGINE_GIVEN]
    if node.get("_partial_"):  # a function whose other arguments its caller gives
        required = []
    values = {key: value for key, value in node.items() if not key.startswith("_")}
    _check_names(path, values, parameters.keys() - ENGINE_GIVEN, required, within)
    hints = type_hints(target)
    for key, value in values.items():
        _check_value(f"{path}.{key}", value, hints.get(key, Any))
        _check_class(f"{path}.{key}", value, hints.get(key, Any))


def _check_role(group: str, name: Any, target: Any) -> None:
    """Raise ConfigError where the node of a group names something that can do nothing of what the group is for."""
    if not isinstance(target, type):
        raise ConfigError(f"{group}._target_={name} is not a class; name one")
    role = GROUPS[group]
    if isinstance(role, str):
        base = resolve(group, role)
        if not issubclass(target, base):
            raise ConfigError(f"{group}._target_={name} is not a {base.__name__}; name a class derived from it")
    elif lacking := [word for word in role if not hasattr(target, word)]:
        raise ConfigError(
            f"{group}._target_={name} has no {lacking[0]}(); choose {group}=..., or write a class that has"
        )


def is_ours(target: Any) -> bool:
    """Whether a class or function is recretrain's, or a user's class that derives from one of recretrain."""
    lineage = target.__mro__ if isinstance(target, type) else (target,)
    return any(getattr(found, "__module__", "").split(".")[0] == "recretrain" for found in lineage)


def type_hints(target: Any) -> dict[str, Any]:
    """The hints of a constructor's parameters, those of inherited ones resolved where they were written.

    Raises NameError for a name that cannot be resolved, such as one imported for type checkers only: a bug.
    """
    if not isinstance(target, type):
        return get_type_hints(target, include_extras=True)
    owner = next(base for base in target.__mro__ if "__init__" in vars(base))
    generated = dataclasses.is_dataclass(owner)  # such an __init__ has the hints of all bases, but only its own names
    return get_type_hints(owner if generated else vars(owner)["__init__"], include_extras=True)


def _parameters(target: Any) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(target).parameters
    return {name: p for name, p in parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}


def _check_names(
    path: str, values: Mapping[str, Any], known: Iterable[str], required: Sequence[str], within: Mapping[str, Any]
) -> None:
    for key in values:
        if key not in known:
            raise Unfit(no_such_key(path, key, known, within))
    for key in required:
        if key not in values:
            raise ConfigError(f"{path}.{key} has no value; give {path}.{key}=...")


def _check_value(path: str, value: Any, hint: Any) -> None:
    found = misfit(path, value, hint)
    if found and node_classes(hint) and (option := _option(path, value)):
        raise ConfigError(f"{path}={value} must be {in_words(hint)}; did you mean {option}?")
    if found:
        raise ConfigError(str(found))


def _option(path: str, value: Any) -> str | None:
    """The override that chooses the file `value` for a node: `cut@data.cut=months` in place of `data.cut=months`."""
    group, last = path.split(".")[0], path.split(".")[-1]
    overrides = {last: f"{last}@{path}={value}", group: f"{group}={value}"}
    return next((word for folder, word in overrides.items() if (conf_dir() / folder / f"{value}.yaml").is_file()), None)


def _check_class(path: str, value: Any, hint: Any) -> None:
    """Raise ConfigError if a node inside another names a class of the wrong kind; protocols are not looked at."""
    wanted = tuple(found for found in node_classes(hint) if not getattr(found, "_is_protocol", False))
    if not wanted or not isinstance(value, Mapping):
        return
    target = resolve(path, value["_target_"])
    if not isinstance(target, type) or not issubclass(target, wanted):
        names = " or ".join(found.__name__ for found in wanted)
        raise ConfigError(f"{path}._target_={value['_target_']} is not a {names}; name a class derived from it")
