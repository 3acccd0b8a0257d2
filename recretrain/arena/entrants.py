"""Who may enter: the methods that answer the questions asked, and the reason of every other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from recretrain.arena.spaces import Dimension, space_of
from recretrain.configuration.compose import compose, conf_dir
from recretrain.configuration.messages import choose_from
from recretrain.configuration.options import headline, options
from recretrain.configuration.signatures import check
from recretrain.engine.build import check_settings
from recretrain.errors import ConfigError, Unfit


@dataclass(frozen=True)
class Entrant:
    method: str
    about: str  # the headline of its file
    space: Sequence[Dimension]


@dataclass(frozen=True)
class Field:
    entrants: Sequence[Entrant]
    unfit: Mapping[str, str]  # method -> why it cannot answer these questions


def field(words: Sequence[str], wanted: Sequence[str] | None) -> Field:
    """The methods that enter on the data of `words`.

    `wanted`: these alone; None: all whose file has a `search:` node, if only an empty one (variants of a method, such
    as rows of a paper's ablation, have none). Raises ConfigError for a name that is no method, and where none fits.
    """
    found, unfit = list[Entrant](), dict[str, str]()
    for method in _known(wanted):
        try:
            config, choices = compose([*words, f"method={method}"])
            check(config)
            check_settings(config, choices)
        except Unfit as reason:
            unfit[method] = str(reason)
            continue
        node: Any = None if config.search is None else OmegaConf.to_container(config.search)
        found.append(Entrant(method, headline(_file(method)), space_of(method, node)))
    if not found:
        raise ConfigError("; ".join(unfit.values()) or "no method enters the arena on these data")
    return Field(found, unfit)


def _known(wanted: Sequence[str] | None) -> Iterator[str]:
    known = sorted(options(conf_dir(), "method"))
    for method in wanted or filter(_contends, known):
        if method not in known:
            raise ConfigError(f"there is no method '{method}'; {choose_from(method, known, 'methods')}")
        yield method


def _contends(method: str) -> bool:
    """Whether the method's own file has a `search:` node; one that it has from a file before does not count."""
    return any(line.startswith("search:") for line in _file(method).read_text().splitlines())


def _file(method: str) -> Path:
    return conf_dir() / "method" / f"{method}.yaml"
