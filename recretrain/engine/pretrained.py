"""Pre-trained weights are kept beside the runs, so that many methods that begin alike are pre-trained once."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class

from recretrain.backbones.base import Backbone
from recretrain.engine.costs import Meter
from recretrain.once import only_one
from recretrain.visible import first_line

log = logging.getLogger("recretrain")


@dataclass(frozen=True)
class Pretrained:
    """The weights that this run may take, and give, at one task.

    `identity` holds all that decides them but the settings of the learner, which `settings` has by its name below
    `method`. Weights are taken only from a file whose whole identity is the same; its name is a digest of it.
    """

    folder: Path
    identity: Mapping[str, Any]
    settings: Mapping[str, Any]
    meter: Meter

    def once(self, name: str, backbone: Backbone, generator: torch.Generator, train: Callable[[], None]) -> None:
        """See `Fit.once`. Costs count as if it had been trained here."""
        if name not in self.settings:
            raise ValueError(f"fit.once({name!r}): method has no node of that name, so its settings cannot be compared")
        learner = self.settings[name]
        whole = {**self.identity, "learner": learner, "code": code_of(learner)}
        identity = json.dumps(whole, sort_keys=True, default=str)
        file = self.folder / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.pt"
        with only_one(file):
            state = _read(file, identity)
            if state is not None:
                backbone.load_state_dict(state["backbone"])
                _set_random(state["random"], generator)
                self.meter.add(state["wall_seconds"], state["cpu_seconds"], state["read"])
                log.info("pre-trained weights taken from %s", file)
                return
            wall, cpu = self.meter.elapsed()
            before = set(self.meter.read)
            train()
            wall, cpu = (now - then for now, then in zip(self.meter.elapsed(), (wall, cpu), strict=True))
            read = {what: rows for what, rows in self.meter.read.items() if what not in before}
            _write(
                file,
                {
                    "identity": identity,
                    "backbone": backbone.state_dict(),
                    "random": _random(generator),
                    "wall_seconds": wall,
                    "cpu_seconds": cpu,
                    "read": read,
                },
            )


def code_of(node: Any) -> list[str]:
    """Digests of the files that hold the classes which a node names: an edited learner is another learner."""
    if not isinstance(node, Mapping):
        return []
    own = [inspect.getfile(get_class(node["_target_"]))] if "_target_" in node else []
    digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16] for file in own]
    return [*digests, *(digest for value in node.values() for digest in code_of(value))]


def _read(file: Path, identity: str) -> dict[str, Any] | None:
    """The kept state, if it is whole and of this identity."""
    if not file.is_file():
        return None
    try:
        _check_sums(file)
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file anything may be read
        log.warning("%s is damaged (%s); it is made again", file, first_line(error))
        return None
    if state.get("identity") != identity:
        log.warning("%s is of other settings; it is made again", file)
        return None
    return state


def _check_sums(file: Path) -> None:
    """Raise ValueError where what torch wrote has changed: it writes check sums, and reads without a look at them."""
    with zipfile.ZipFile(file) as archive:
        if name := archive.testzip():
            raise ValueError(f"{name} has changed since it was written")


def _write(file: Path, state: Mapping[str, Any]) -> None:
    aside = file.with_name(f".{file.name}.aside")  # of a process that was killed: written over
    torch.save(dict(state), aside)
    os.replace(aside, file)


def _random(generator: torch.Generator) -> dict[str, Any]:
    """Where torch's random numbers stand: those of the task, and the global ones."""
    found = {"task": generator.get_state(), "global": torch.get_rng_state()}
    return found | ({"cuda": torch.cuda.get_rng_state(generator.device)} if generator.device.type == "cuda" else {})


def _set_random(state: Mapping[str, Any], generator: torch.Generator) -> None:
    generator.set_state(state["task"])
    torch.set_rng_state(state["global"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], generator.device)
