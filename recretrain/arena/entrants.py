"""Who may enter: the methods that answer the questions asked, and the reason of every other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recretrain.arena.spaces import Dimension, space_of
from recretrain.configuration.build import build
from recretrain.configuration.compose import compose, composition
from recretrain.configuration.messages import choose_from
from recretrain.configuration.options import headline
from recretrain.configuration.signatures import check
from recretrain.data.kinds import TestSet
from recretrain.engine.build import check_settings
from recretrain.errors import ConfigError, Unfit
from recretrain.evaluation.base import Evaluator


@dataclass(frozen=True)
class Entrant:
    method: str
    about: str  # the headline of its file
    space: Sequence[Dimension]
    is_near: bool = True  # to these questions: it needs nothing with them, such as histories
    is_floor: bool = False  # what every other method has to pass


@dataclass(frozen=True)
class Field:
    entrants: Sequence[Entrant]
    unfit: Mapping[str, str]  # method -> why it cannot answer these questions


def field(words: Sequence[str], wanted: Sequence[str] | None) -> Field:
    """The methods that enter on the data of `words`, floors first, then those that need no more than the questions.

    `wanted`: these alone; None: all whose file has a `search:` node, if only an empty one (variants of a method, such
    as rows of a paper's ablation, have none). Raises ConfigError for a name that is no method, and where none fits.
    """
    found, unfit = list[Entrant](), dict[str, str]()
    files, asked = _files(words), _kind(compose(words)[0])
    for method in _entering(files, wanted):
        try:
            config, choices = compose([*words, f"method={method}"])
            check(config)
            check_settings(config, choices)
        except Unfit as reason:
            unfit[method] = str(reason)
            continue
        node: Any = None if config.search is None else OmegaConf.to_container(config.search)
        near = _kind(config) is asked
        found.append(Entrant(method, headline(files[method]), space_of(method, node), near, bool(config.floor)))
    if not found:
        raise ConfigError("; ".join(unfit.values()) or "no method enters the arena on these data")
    return Field(sorted(found, key=lambda one: (not one.is_floor, not one.is_near, one.method)), unfit)


def _kind(config: DictConfig) -> type[TestSet]:
    """The kind of questions that a configuration asks."""
    evaluator: Evaluator = build(config.eval, "eval")
    return evaluator.questions.kind


def _files(words: Sequence[str]) -> dict[str, Path]:
    """The file of each method, those of folders on hydra.searchpath too."""
    folders = composition(words).folders
    return {file.stem: file for folder in reversed(folders) for file in sorted((folder / "method").glob("*.yaml"))}


def _entering(files: Mapping[str, Path], wanted: Sequence[str] | None) -> Iterator[str]:
    if wanted is None:
        yield from sorted(method for method, file in files.items() if _contends(file))
        return
    for method in wanted:
        if method not in files:
            raise ConfigError(f"there is no method '{method}'; {choose_from(method, files, 'methods')}")
        yield method


def _contends(file: Path) -> bool:
    """Whether a method's own file has a `search:` node; one that it has from a file before does not count."""
    return any(line.startswith("search:") for line in file.read_text().splitlines())
