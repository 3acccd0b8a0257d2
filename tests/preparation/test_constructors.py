"""Every class of the preparation is small, and every value of conf/data and conf/cut has a type that is checked."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate
from typing import Any

import pytest
from omegaconf import OmegaConf

import recretrain.preparation
from recretrain.configuration.compose import compose
from recretrain.configuration.hints import fits
from recretrain.configuration.signatures import check_node, nodes, type_hints
from recretrain.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf"
CHOICES = [
    *(f"data={file.stem}" for file in sorted((CONF / "data").glob("*.yaml"))),
    *(f"cut@data.cut={file.stem}" for file in sorted((CONF / "cut").glob("*.yaml"))),
]


def classes() -> Iterator[type]:
    """Every class that a module of the room defines."""
    for module in pkgutil.walk_packages(recretrain.preparation.__path__, "recretrain.preparation."):
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if found.__module__ == module.name:
                yield found


def parameters(target: Any) -> set[str]:
    found = inspect.signature(target).parameters.values()
    return {p.name for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def found_nodes(choice: str) -> list[tuple[str, Any]]:
    config, _ = compose([choice, "data.path=x"])
    return list(nodes(OmegaConf.to_container(config.data, resolve=True), "data"))


def test_no_constructor_takes_more_than_eight_arguments():
    found = {cls.__qualname__: len(parameters(cls)) for cls in classes()}

    assert len(found) > 40
    assert {name: count for name, count in found.items() if count > 8} == {
        "Table": 10
    }  # all that an own table may need


@pytest.mark.parametrize("choice", CHOICES)
def test_every_parameter_has_a_hint_that_resolves(choice: str):
    found = found_nodes(choice)

    assert len(found) >= 2  # the source and its card, at least
    for path, node in found:
        target = locate(node["_target_"])
        hints = type_hints(target)
        assert parameters(target) <= hints.keys(), path
        assert Any not in hints.values(), path


@pytest.mark.parametrize("choice", CHOICES)
def test_every_value_of_a_wrong_type_is_refused_by_its_key(choice: str):
    """Text where anything else is asked for, and a list where text is."""
    refused = 0
    for path, node in found_nodes(choice):
        hints = type_hints(locate(node["_target_"]))
        for key in sorted(node.keys() & hints.keys()):
            wrong = ["abc"] if fits("abc", hints[key]) else "abc"

            with pytest.raises(ConfigError) as error:
                check_node(path, {**node, key: wrong}, within={})

            assert str(error.value).startswith(f"{path}.{key}="), str(error.value)
            assert " must be " in str(error.value)
            refused += 1

    assert refused >= 8
