"""An old key is refused with its new name, where the configuration has the new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.options import options
from recretrain.configuration.renamed import RENAMED, new_name
from recretrain.configuration.signatures import check
from recretrain.errors import ConfigError


@pytest.fixture(scope="module")
def configurations() -> list[Any]:
    """One for each method, each option of eval and each data set."""
    chosen = [f"{group}={option}" for group in ("method", "eval", "data") for option in options(conf_dir(), group)]
    return [OmegaConf.to_container(compose([override])[0]) for override in chosen]


@pytest.mark.parametrize(("old", "new"), RENAMED, ids=[f"{old}->{new}" for old, new in RENAMED])
def test_the_new_name_is_there_and_the_old_one_is_not(configurations: list[Any], old: str, new: str) -> None:
    having = [values for values in configurations if new_name(old, values) == new]

    assert having
    assert [values for values in having if _has(values, old)] == []


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def test_an_old_key_on_the_command_line_names_the_new_one() -> None:
    with pytest.raises(ConfigError, match=r"^method\.transfer_epochs is now method\.transfer\.epochs$"):
        compose(["method=sml", "method.transfer_epochs=2"])
    with pytest.raises(ConfigError, match=r"^method\.learning_rate is now method\.learner\.learning_rate$"):
        compose(["method=fine_tune", "method.learning_rate=2"])


def test_a_key_is_not_renamed_where_the_new_one_is_absent() -> None:
    with pytest.raises(ConfigError, match=r"^method has no key 'learning_rate'"):
        compose(["method=sml", "method.learning_rate=2"])
    assert new_name("method.adam", {"method": {"learner": None}}) is None


def test_an_old_key_in_one_s_own_file_names_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\nmethod:\n  fresh_epochs: 2\n")

    config, _ = compose([f"hydra.searchpath=[file://{tmp_path}]", "experiment=own"])

    with pytest.raises(ConfigError, match=r"^method\.fresh_epochs is now method\.fresh\.epochs$"):
        check(config)
