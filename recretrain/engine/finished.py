"""A finished run is opened again from its folder, with what it learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig

from recretrain.configuration import later, trust
from recretrain.configuration.signatures import check
from recretrain.engine.build import Experiment, experiment
from recretrain.engine.store import RunStore
from recretrain.errors import ConfigError
from recretrain.methods.base import RetrainMethod
from recretrain.sealed import read_card, reading


def finished(folder: Path, trusted: Sequence[str] = ()) -> tuple[Experiment, RetrainMethod[Any], int]:
    """The run, its method as it is after the last finished task, and that task.

    The raw files may have grown since: the prepared data that the run has learned from are taken. Raises ConfigError
    where the folder is no run's, no task of it is finished, its data are gone, or its settings name a class that is
    neither recretrain's nor of the `trusted` packages.
    """
    config, facts = stored(folder, trusted)  # before the store, which would make the folder of a misspelt name
    config.trainer.devices = 1  # whatever it was learned on
    if config.trainer.device == "cuda":  # what is learned on a GPU answers on a machine without one
        config.trainer.device = "auto"
    choices = choices_of(facts)
    store = RunStore(folder)
    last = store.done() - 1
    if last < 0:
        raise ConfigError(f"{folder} has no finished task; repeat its command first")
    store.check()
    asked = experiment(config, choices=choices, overrides=[], prepared=facts["data_digest"])
    if (now := asked.stream.card["digest"]) != facts["data_digest"]:
        raise ConfigError(
            f"{folder} learned from data {facts['data_digest']}, which are no longer in {config.paths.cache}, and the "
            f"raw files have changed since (now {now}); repeat its command in another paths.outputs"
        )
    method = asked.method()
    method.load_state_dict(store.state(last, asked.machine.device))
    return asked, method, last


def column(file: Path, name: str) -> dict[int, str]:
    """A column of a prepared folder's table by id, as text; empty where there is no such file."""
    if not file.is_file():
        return {}
    with reading(file):
        table = pq.read_table(file, columns=["id", name])
    return dict(zip(table.column("id").to_pylist(), map(str, table.column(name).to_pylist()), strict=True))


def choices_of(card: Mapping[str, Any]) -> dict[str, str]:
    """The option of each group that a run is of, by its card."""
    return {group: str(card[group]) for group in ("method", "data", "backbone", "schedule", "eval")}


def stored(folder: Path, trusted: Sequence[str] = ()) -> tuple[DictConfig, dict[str, Any]]:
    """The configuration, checked, and the card of a run folder. Raises ConfigError as `finished` does."""
    file, card = folder / "config.yaml", folder / "run.json"
    if not file.is_file() or not card.is_file():
        raise ConfigError(f"{folder} is no run folder (it has no config.yaml and run.json); name one below outputs/")
    facts = read_card(card)
    config = trust.read(file, trusted, facts.get("digest"))
    later.fill(config)
    check(config)
    return config, facts
