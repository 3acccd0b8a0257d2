"""What lies in a run folder is data: of its settings only the package's own classes are built, and those one trusts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recretrain.configuration.compose import compose
from recretrain.configuration.imports import resolve
from recretrain.configuration.signatures import nodes
from recretrain.errors import ConfigError
from recretrain.sealed import text_damage
from recretrain.visible import first_line

if TYPE_CHECKING:
    from omegaconf import DictConfig

LARGEST = 2**20  # bytes of a config.yaml; ours have some thousand
ROOMS = ("backbones", "data", "engine.machine", "evaluation", "methods", "preparation")  # of what settings are built


def read(file: Path, trusted: Sequence[str] = (), run: str | None = None) -> DictConfig:
    """The stored settings of a run.

    `trusted`: packages and modules whose classes may be built too, such as that of a method of one's own. `run`: its
    digest. Raises ConfigError where the file is no such settings, or names another class or function.
    """
    from omegaconf import OmegaConf

    values = _values(file, run)
    values["logger"] = {}  # of those who ran it
    for path, node in nodes(values):
        target = str(node["_target_"])
        if not _is_ours(path, target) and not _within(target, trusted):
            raise ConfigError(
                f"{file}: {path} names {target}, which is no class of recretrain; what lies in a run folder may come "
                f"from anyone: if it is yours, give --trust {target.partition('.')[0]}"
            )
    return OmegaConf.create(values)


def named_in(overrides: Sequence[str]) -> list[str]:
    """The packages of the classes that a command of one's own composes: whoever gives it trusts them."""
    from omegaconf import OmegaConf

    config, _ = compose(overrides)
    values = OmegaConf.to_container(config)
    return sorted({str(node["_target_"]).partition(".")[0] for _, node in nodes(values)} - {"recretrain"})


def _values(file: Path, run: str | None) -> dict[str, Any]:
    """The file's content; no reference within it is followed, neither of YAML nor of OmegaConf."""
    import yaml

    if file.stat().st_size > LARGEST:
        raise ConfigError(f"{file} holds more than {LARGEST // 2**20} MB, which no settings do; it is not of a run")
    try:
        text = file.read_text()
        if what := text_damage(text, run):
            raise ConfigError(f"{file} is damaged ({what}); repeat the run's command")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigError(f"{file} holds YAML references, which recretrain never writes; it is not of a run")
        values = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is damaged ({first_line(error)}); repeat the run's command") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{file} is damaged (it holds no keys); repeat the run's command")
    if "${" in text:
        raise ConfigError(f"{file} holds interpolations, which recretrain never writes; it is not of a run")
    return values


def _is_ours(path: str, target: str) -> bool:
    """Whether a target is a class, or a metric's function, that a room of settings defines; no other is imported."""
    if not _within(target, [f"recretrain.{room}" for room in ROOMS]):
        return False
    found = resolve(path, target)
    module = str(getattr(found, "__module__", ""))
    own = f"{module}.{getattr(found, '__qualname__', '')}" == target  # not what a module of ours imports
    return own and (isinstance(found, type) or module == "recretrain.evaluation.metrics")


def _within(target: str, packages: Sequence[str]) -> bool:
    return any(f"{target}.".startswith(f"{package}.") for package in packages)
