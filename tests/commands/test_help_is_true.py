"""What `run ... --help` shows is what would be run, for every file of conf/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from omegaconf import OmegaConf

from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.help import run_help, written

AT = {  # where the options of a group inside another go, and a choice that has such a place
    "cut": ("cut@data.cut", "data=yelp"),
    "learner": ("learner@method.learner", "method=fine_tune"),
    "memory": ("memory@method.memory", "method=ader"),
    "pretraining": ("pretraining@method.pretraining", "method=sml"),
    "transfer": ("transfer@method.transfer.network", "method=sml"),
}
NO_GROUPS = {"hydra", "table"}  # Hydra's own; cards of tables
FILES = sorted(
    (file.parent.name, file.stem) for file in conf_dir().glob("*/*.yaml") if file.parent.name not in NO_GROUPS
)
TABLE = ["data.path=x", "data.name=x"]  # what data=table and its like ask for


def test_there_are_files() -> None:
    assert {group for group, _ in FILES} >= {"method", "backbone", "data", "schedule", "eval", "experiment", *AT}
    assert len(FILES) > 100


@pytest.mark.slow
@pytest.mark.parametrize(("group", "option"), FILES, ids=[f"{group}-{option}" for group, option in FILES])
def test_help_shows_the_composition(group: str, option: str) -> None:
    place, base = AT.get(group, (group, None))
    words = [*([base] if base else []), f"{place}={option}", *_asked_for(option)]
    config, choices = compose(words)

    shown = run_help([*words, "--help"])

    lines = [line.strip() for line in shown.splitlines()]
    values: Any = OmegaConf.to_container(config, resolve=True)
    expected = {f"{key}={written(value)}" for key, value in _leaves(values)}
    assert len(expected) > 20
    assert [
        leaf for leaf in sorted(expected) if not any(line == leaf or line.startswith(f"{leaf}  ") for line in lines)
    ] == []
    chosen = {
        f"{key}={choice.replace('None', 'null')}" for key, choice in choices.items() if not key.startswith("hydra/")
    }
    assert f"{place}={option}" in chosen
    assert chosen <= {line.split("  ")[0] for line in lines}


def _asked_for(option: str) -> list[str]:
    return TABLE if option in ("table", "domain_tables", "task_tables") else []


def _leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Keys with their values; a mapping of other keys than names, or of none, is a value."""
    for key, value in values.items():
        if key.startswith("_"):
            continue
        if isinstance(value, dict) and all(str(inner).isidentifier() for inner in value):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value
