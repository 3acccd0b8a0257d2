"""A run is its configuration, named by a digest of everything that can change its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recretrain.configuration.sources import careful_reading, check_folders, paths_quoted
from recretrain.errors import ConfigError, Mistake, Unfit
from recretrain.records import LATER, ONCE_IN_DIGEST, OUTSIDE_DIGEST, changes_nothing

if TYPE_CHECKING:  # imported in the functions: `recretrain --help` must not wait for them
    from omegaconf import DictConfig

MISSING: Any = "???"  # OmegaConf's word for a value that conf/ must give


@dataclass
class Paths:
    data: str = MISSING
    cache: str = MISSING
    memory: str = MISSING
    outputs: str = MISSING


@dataclass
class Needs:
    """A method's wishes (conf/needs.yaml)."""

    warm_up: Any = MISSING
    history: int | None = MISSING


@dataclass
class Schema:
    """Types of the top level; the groups are `_target_` nodes whose schema is the constructor they name."""

    seed: int = MISSING
    paths: Paths = field(default_factory=Paths)
    needs: Needs = field(default_factory=Needs)
    schedule: Any = MISSING
    backbone: Any = MISSING
    eval: Any = MISSING
    trainer: Any = MISSING
    logger: Any = MISSING
    method: Any = MISSING
    data: Any = MISSING
    search: Any = None  # settings of the method that are worth a search, for the arena
    floor: bool = False  # whether every other method has to pass it there


def conf_dir() -> Path:
    """The configuration tree: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def register_schema() -> None:
    """Tell Hydra the types; conf/config.yaml refers to them as `schema`."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema", node=Schema)


def compose(overrides: Sequence[str]) -> tuple[DictConfig, dict[str, str]]:
    """The configuration that `recretrain run <overrides>` would get, and the option chosen in each group."""
    return without_hydra(whole(overrides))


def whole(overrides: Sequence[str]) -> DictConfig:
    """The configuration of `recretrain run <overrides>` with Hydra's own settings, below `hydra`."""
    with _hydra():
        return _composed(overrides)


@dataclass(frozen=True)
class Composition:
    """A configuration, and where it comes from."""

    values: Mapping[str, Any]  # interpolations resolved
    choices: Mapping[str, str]  # of each group of ours; `cut@data.cut` for one that fills a key further in
    files: Sequence[
        tuple[str, Path]
    ]  # in the order of their merging: the dotted key they fill ("" for all) and the file
    folders: Sequence[Path]  # conf/ and those of hydra.searchpath


def composition(overrides: Sequence[str]) -> Composition:
    """The configuration of `recretrain run <overrides>`, with the files that its values come from."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    with _hydra():
        config = _composed(overrides)
        folders = [Path(source.path) for source in config.hydra.runtime.config_sources if source.schema == "file"]
        loader = GlobalHydra.instance().config_loader()
        merged = loader.compute_defaults_list("config", paths_quoted(overrides), RunMode.RUN).defaults
        config, choices = without_hydra(config)
        values: Any = OmegaConf.to_container(config, resolve=True)
    places = [(default.package or "", f"{default.config_path}.yaml") for default in merged]
    files = [(key, folder / name) for key, name in places for folder in folders if (folder / name).is_file()]
    ours = {key: choices[key].replace("None", "null") for key in reversed(choices) if not key.startswith("hydra/")}
    return Composition(values, ours, [(key, file) for key, file in files if not key.startswith("hydra")], folders)


def expand(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The override lists of the single runs of a sweep."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    with explained():
        parsed = OverridesParser.create().parse_overrides(paths_quoted(overrides))
    for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None):
        yield from (list(job) for job in batch)


@contextmanager
def _hydra() -> Iterator[None]:
    import hydra

    register_schema()
    given = hydra.initialize_config_dir(version_base="1.3", config_dir=str(conf_dir()))
    with explained(), careful_reading(), given:
        yield


def _composed(overrides: Sequence[str]) -> DictConfig:
    import hydra

    check_folders(overrides)
    return hydra.compose("config", overrides=paths_quoted(overrides), return_hydra_config=True)


def without_hydra(config: DictConfig) -> tuple[DictConfig, dict[str, str]]:
    """Remove Hydra's own settings; returns the configuration and the option chosen in each group."""
    from omegaconf import open_dict, read_write

    choices = {str(group): str(choice) for group, choice in config.hydra.runtime.choices.items()}
    with read_write(config), open_dict(config):
        del config["hydra"]
    return config, choices


@contextmanager
def explained() -> Iterator[None]:
    """Turn the errors of Hydra, OmegaConf and YAML into a ConfigError that names culprit and cure."""
    from recretrain.configuration.messages import explain, is_unknown_key

    try:
        yield
    except Mistake:
        raise
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        raise (Unfit if is_unknown_key(error) else ConfigError)(message) from error


def digest(config: DictConfig, *, with_seed: bool = True, former: bool = False) -> str:
    """Ten hex digits, equal for two configurations if and only if they differ in nothing but OUTSIDE_DIGEST.

    A key that came later (LATER) counts once it is changed, so that runs from before it keep their digests. `former`:
    as it was when ONCE_IN_DIGEST counted.
    """
    from omegaconf import OmegaConf

    with explained():
        values = OmegaConf.to_container(config, resolve=True)
    as_before = [key for key in LATER if changes_nothing(key, _at(values, key.split(".")))]
    outside = [key for key in OUTSIDE_DIGEST if not former or key not in ONCE_IN_DIGEST]
    for key in (*outside, *as_before, *(() if with_seed else ("seed",))):
        _drop(values, key.split("."))
    canonical = json.dumps(_whole(values), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:10]


def _whole(value: Any) -> Any:
    """1.0 as 1, wherever it stands: written one way or the other it is the same run."""
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def run_folder(config: DictConfig, choices: Mapping[str, str]) -> Path:
    """`<outputs>/<data>/<method>/seed=<s>-<digest>`; the former name of a run that has been begun under it."""
    now, before = (_folder(config, choices, former=former) for former in (False, True))
    return before if before.is_dir() and not now.is_dir() else now


def has_former_name(config: DictConfig, choices: Mapping[str, str]) -> bool:
    """Whether the configuration's run has been begun under the name that it would not have today."""
    return run_folder(config, choices) != _folder(config, choices)


def _folder(config: DictConfig, choices: Mapping[str, str], *, former: bool = False) -> Path:
    with explained():
        of_data = Path(config.paths.outputs) / data_name(config, choices)
        return of_data / choices["method"] / f"seed={config.seed}-{digest(config, former=former)}"


def data_name(config: DictConfig, choices: Mapping[str, str]) -> str:
    """The name of the data in folders and tables: that of the choice, but one's own table goes by its own."""
    return str(config.data.name) if choices["data"] == "table" else choices["data"]


def _at(values: Any, path: Sequence[str]) -> Any:
    """The value of a key; None where there is none."""
    for part in path:
        values = values.get(part) if isinstance(values, dict) else None
    return values


def _drop(values: Any, path: Sequence[str]) -> None:
    *parents, last = path
    for parent in parents:
        values = values.get(parent) if isinstance(values, dict) else None
    if isinstance(values, dict):
        values.pop(last, None)
