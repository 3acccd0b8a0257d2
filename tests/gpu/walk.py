"""What a GPU is to show, found by a walk through conf/; docs/gpu.md says of each whether it has been seen there."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from recretrain.configuration.compose import conf_dir
from recretrain.engine.machine import Machine

CHANGED = {
    "devices": "2",
    "precision": "bf16-mixed",
    "matmul": "high",
    "deterministic": "true",
    "graphs": "true",
}  # from conf/trainer


def methods() -> Mapping[str, tuple[str, ...]]:
    """The methods of conf/, and SML with every transfer, each by its name: the words that make it."""
    found = {name: (name,) for name in _options("method")}
    transfers = ((f"transfer={name}", f"transfer@method.transfer.network={name}") for name in _options("transfer"))
    return found | {name: ("sml", word) for name, word in transfers}


def trainers() -> Mapping[str, str]:
    """An override for each option of the trainer that can change results."""
    options = inspect.signature(Machine).parameters.keys() - {"device", "threads", "progress"}
    return {f"trainer.{name}": f"trainer.{name}={CHANGED[name]}" for name in sorted(options)}


def _options(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))
