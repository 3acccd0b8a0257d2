"""Values live in conf/ only: the keys of a `_target_` node are the keyword-only parameters, which have no defaults."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from omegaconf import OmegaConf

from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.options import options
from recretrain.configuration.signatures import (
    ENGINE_GIVEN,
    check,
    check_node,
    constructor_parameters,
    fits,
    in_words,
    nodes,
)
from recretrain.errors import ConfigError

GROUPS = ("method", "data", "schedule", "backbone", "eval", "trainer", "logger", "experiment")
CHOICES = [(group, option) for group in GROUPS for option in options(conf_dir(), group)]


def composed(group: str, option: str) -> dict[str, Any]:
    overrides = ["data.path=x"] if option == "table" else []
    values = OmegaConf.to_container(compose([f"{group}={option}", *overrides])[0], resolve=True)
    assert isinstance(values, dict)
    return values


@pytest.mark.parametrize(("group", "option"), CHOICES, ids=["=".join(choice) for choice in CHOICES])
def test_keys_are_the_parameters(group: str, option: str) -> None:
    found = list(nodes(composed(group, option)))

    assert {path for path, _ in found} >= {"method", "data", "schedule", "backbone", "eval"}
    for path, node in found:
        keys = {key for key in node if not key.startswith("_")}
        parameters = inspect.signature(_resolve(node["_target_"])).parameters.values()
        assert keys == {p.name for p in parameters} - ENGINE_GIVEN, path
        assert [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY or p.default is not p.empty] == [], path
        assert [p.name for p in parameters if p.annotation is p.empty] == [], path
        check_node(path, node)


def test_the_walk_found_the_methods() -> None:
    assert {option for group, option in CHOICES if group == "method"} >= {"sml", "fine_tune", "full_retrain", "spmf"}


class Toy:
    def __init__(self, *, backbone: Any, rate: float, epochs: int | None, ks: Sequence[int]) -> None: ...


def node(**values: Any) -> dict[str, Any]:
    return {"_target_": f"{__name__}.Toy", "rate": 1, "epochs": None, "ks": [1], **values}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rat": 1}, "toy has no key 'rat'; did you mean rate\\? keys: epochs, ks, rate"),
        ({"rate": "fast"}, "toy.rate='fast' must be a number; change toy.rate"),
        ({"rate": True}, "toy.rate=True must be a number"),
        ({"epochs": 1.5}, "toy.epochs=1.5 must be a whole number or null"),
        ({"ks": 5}, "toy.ks=5 must be a list"),
        ({"ks": ["x"]}, "toy.ks=\\['x'\\] must be a list"),
        ({"backbone": 1}, "toy has no key 'backbone'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(wrong: Mapping[str, Any], message: str) -> None:
    check_node("toy", node())

    with pytest.raises(ConfigError, match=message):
        check_node("toy", node(**wrong))


def test_a_missing_value_is_named() -> None:
    without = node()
    del without["rate"]

    with pytest.raises(ConfigError, match=r"toy.rate has no value; give toy.rate=\.\.\."):
        check_node("toy", without)


def test_a_whole_configuration_is_checked() -> None:
    config, _ = compose(["method=sml"])
    check(config)

    with pytest.raises(ConfigError, match=r"method\.loops='x'"):
        check(compose(["method=sml", "method.loops=x"])[0])


def test_types_in_words() -> None:
    assert in_words(int | None) == "a whole number or null"
    assert fits(1, float)
    assert not fits(1.0, int)
    assert fits({"a": 1}, Mapping[str, int])
    assert list(constructor_parameters(f"{__name__}.Toy")) == ["backbone", "rate", "epochs", "ks"]


def _resolve(target: str) -> Any:
    from hydra.utils import get_object

    return get_object(target)
