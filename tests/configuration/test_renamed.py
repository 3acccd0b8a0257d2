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
    """One for each method, and one for each option of eval and of data."""
    chosen = [f"{group}={option}" for group in ("method", "eval", "data") for option in options(conf_dir(), group)]
    return [OmegaConf.to_container(compose([override])[0]) for override in chosen]


@pytest.mark.parametrize(("old", "new"), RENAMED, ids=[f"{old}->{new}" for old, new in RENAMED])
def test_the_new_name_is_there_and_the_old_one_is_not(configurations: list[Any], old: str, new: str) -> None:
    having = [values for values in configurations if new_name(old, values) == new]

    if not having:
        pytest.skip("the methods are not regrouped yet")
    assert [values for values in having if _has(values, old)] == []


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def test_an_old_key_on_the_command_line_names_the_new_one() -> None:
    with pytest.raises(ConfigError, match=r"^schedule\.cut is now data\.cut$"):
        compose(["schedule.cut.periods=2"])


def test_an_old_key_in_one_s_own_file_names_the_new_one(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "own.yaml").write_text("# @package _global_\nschedule:\n  cut: {periods: 2}\n")

    config, _ = compose([f"hydra.searchpath=[file://{tmp_path}]", "experiment=own"])

    with pytest.raises(ConfigError, match=r"^schedule\.cut is now data\.cut$"):
        check(config)
