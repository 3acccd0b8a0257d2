"""Settings that were stored before some keys came are as if they had them, at the values that change nothing."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from recretrain.records import LATER

if TYPE_CHECKING:
    from omegaconf import DictConfig


def fill(config: DictConfig) -> None:
    """Give a stored configuration the keys that came later, wherever a class that it names takes them."""
    from hydra.utils import get_class
    from omegaconf import OmegaConf, open_dict

    for key, value in LATER.items():
        place, _, name = key.rpartition(".")
        node = OmegaConf.select(config, place)
        if not OmegaConf.is_dict(node) or name in node or "_target_" not in node:
            continue
        if name in inspect.signature(get_class(node["_target_"])).parameters:
            with open_dict(node):
                node[name] = value
