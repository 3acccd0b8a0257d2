"""A command that is only repeated: it is found out without torch that its run is finished."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from recretrain import sealed
from recretrain.configuration.build import build
from recretrain.configuration.compose import run_folder

if TYPE_CHECKING:
    from omegaconf import DictConfig

log = logging.getLogger("recretrain")


def finished_before(config: DictConfig, choices: Mapping[str, str]) -> Path | None:
    """The folder of a run that this very configuration has finished, on the data as they are now.

    None where a closer look is needed, by the engine: something is left to do, or not as it was written, or a value
    differs, be it one that changes no result.
    """
    folder = run_folder(config, choices)
    if not _is_of(config, folder):
        return None
    card = sealed.read_card(folder / "run.json")
    tasks = sealed.finished(folder / "tasks")
    if len(tasks) < card["tasks"] or sealed.damage_of(tasks) or sealed.litter(folder):
        return None
    if card["data_digest"] != _data_digest(config):
        return None
    log.info("%s: all %d tasks are done", folder, card["tasks"])
    return folder


def _is_of(config: DictConfig, folder: Path) -> bool:
    """Whether the run in a folder has been begun by this configuration, to the last value."""
    from omegaconf import OmegaConf

    file = folder / "config.yaml"
    if not file.is_file() or not (folder / "run.json").is_file():
        return False
    stored = file.read_text(errors="replace")
    return sealed.text_damage(stored) is None and sealed.unsealed(stored) == OmegaConf.to_yaml(config, resolve=True)


def _data_digest(config: DictConfig) -> str:
    from recretrain.preparation.prepare import digest_now

    source = build(config.data, "data")
    return digest_now(source, data_root=Path(config.paths.data), cache=Path(config.paths.cache))
