"""A class that cannot be had: the message names the module, and the line that installs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from recretrain.configuration.compose import compose
from recretrain.configuration.imports import lacking, resolve
from recretrain.configuration.signatures import check
from recretrain.errors import ConfigError

MODULES = {
    "import xgboost": "the package xgboost is not installed; pip install xgboost",
    "from wordllama.deep import x": 'the package wordllama is not installed; pip install "recretrain[text]"',
    "import yaml.nowhere": "yaml has no module yaml.nowhere; mend that import, or pip install -U pyyaml",
    "from yaml import nowhere": "cannot import name 'nowhere' from 'yaml' (",
    "1 / 0": "ZeroDivisionError: division by zero (",
    "x = [1": "SyntaxError: '[' was never closed (",
}


@pytest.fixture(params=MODULES)
def said(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write a module of one's own that fails so; what is said of it."""
    name = f"own_{list(MODULES).index(request.param)}"
    (tmp_path / f"{name}.py").write_text(f"{request.param}\n\nclass Own:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    return f"{name}.Own cannot be imported: {MODULES[request.param]}"


def test_an_import_that_fails_is_explained(said: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        resolve("method", said.split()[0])

    assert str(refusal.value).startswith(f"method._target_={said}")
    assert "\n" not in str(refusal.value)


def test_it_is_found_inside_other_nodes_too(said: str) -> None:
    config, _ = compose(["method=sml", f"method.transfer.network._target_={said.split()[0]}"])

    with pytest.raises(ConfigError) as refusal:
        check(config)

    assert str(refusal.value).startswith(f"method.transfer.network._target_={said}")


def test_the_line_of_an_error_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_line.py").write_text("a = 1\nb = a / 0\n")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigError, match=r"own_line\.py, line 2\); mend it there"):
        resolve("data", "own_line.Own")


def test_a_package_that_is_not_there_may_be_one_s_own() -> None:
    with pytest.raises(ConfigError, match=r"is not there.*: pip install nowhere, or add your own to PYTHONPATH\)$"):
        resolve("method", "nowhere.Method")


def test_a_class_that_is_not_in_its_module_needs_no_pip() -> None:
    with pytest.raises(ConfigError, match=r"name a class as package\.module\.Class$"):
        resolve("method", "recretrain.methods.sml.SLM")


def test_lightning_s_own_words_are_understood() -> None:
    error = ModuleNotFoundError("Requirement 'wandb>=0.12.10' not met. HINT: Try running `pip install -U ...`")

    assert lacking(error) == "the package wandb is not installed; pip install wandb"
