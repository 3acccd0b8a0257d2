"""A constructor's refusal reaches the user as it was written."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

from recretrain.configuration.build import build
from recretrain.errors import ConfigError, DataError


class Refuses:
    def __init__(self, *, why: str, inner: Any = None) -> None:
        if why == "data":
            raise DataError("data.path=x: the file is empty")
        if why == "package":
            raise ModuleNotFoundError("Neither `a` nor `b` is available.\nRequirement 'b' not\nRequirement 'a>=1' not")
        if why:
            raise ValueError(why)


def node(why: str, **more: Any) -> Any:
    return OmegaConf.create({"_target_": f"{__name__}.Refuses", "why": why, **more})


def test_what_the_engine_gives_is_added() -> None:
    assert build(OmegaConf.create({"_target_": "fractions.Fraction", "numerator": 1}), "x", denominator=2) == 0.5


@pytest.mark.parametrize("nested", [False, True])
def test_a_mistake_is_not_wrapped(nested: bool) -> None:
    given = node("", inner=node("data")) if nested else node("data")

    with pytest.raises(DataError, match=r"^data\.path=x: the file is empty$"):
        build(given, "data")


def test_a_missing_package_is_named_with_the_key_that_asks_for_it() -> None:
    with pytest.raises(ConfigError, match=r"^logger: the package a is not installed; pip install a$"):
        build(node("package"), "logger")


def test_another_exception_is_a_bug() -> None:
    with pytest.raises(InstantiationException, match="too small"):
        build(node("too small"), "eval")
