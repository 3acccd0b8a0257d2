"""`recretrain data`: the verbs on data sets, each with the overrides that `recretrain run` takes."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recretrain.configuration.build import build
from recretrain.configuration.compose import compose, conf_dir
from recretrain.errors import ConfigError
from recretrain.report.pages.screen import screen_of
from recretrain.report.pages.terminal import records

if TYPE_CHECKING:
    from omegaconf import DictConfig


def listed(overrides: Sequence[str]) -> str:
    from recretrain.preparation.prepare import list_sources

    config, _ = compose(overrides)
    return records(list_sources(conf_dir(), Path(config.paths.data)), screen_of(sys.stdout))


def prepared(overrides: Sequence[str]) -> str:
    folder = _folder(overrides)
    return f"{folder}\n\n{_summary(folder)}"


def described(overrides: Sequence[str]) -> str:
    """Describe a prepared folder, if one is named; else the data that the overrides ask for."""
    from recretrain.preparation.prepare import describe

    folder = Path(overrides[0]) if overrides and (Path(overrides[0]) / "stream.json").is_file() else None
    card = describe(folder or _folder(overrides))
    periods = [{"period": place, **_readable(period)} for place, period in enumerate(card["periods"])]
    return _under(_about(card), periods)


def generated(folder: Path, overrides: Sequence[str]) -> str:
    from recretrain.once import aside_of

    config, choices = compose(overrides)
    source = source_of(config)
    if source.generator is None:
        raise ConfigError(f"there is no generator for {choices['data']}; see `recretrain data list`")
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with aside_of(folder) as aside:
        source.synthesize(aside)
    return f"synthetic {choices['data']} in {folder}; use it with data={choices['data']} data.path={folder.absolute()}"


def _folder(overrides: Sequence[str]) -> Path:
    from recretrain.preparation.prepare import prepare

    config, _ = compose(overrides)
    paths = config.paths
    return prepare(source_of(config), data_root=Path(paths.data), cache=Path(paths.cache), memory=paths.memory)


def source_of(config: DictConfig) -> Any:
    """The data set's source; only the keys of `data` are checked, so that no method is imported."""
    from recretrain.configuration.signatures import check

    check(config, under=["data"])
    return build(config.data, "data")


def _summary(folder: Path) -> str:
    from recretrain.preparation.prepare import describe

    card = describe(folder)
    return _under(_about(card), card["counts"])


def _under(heading: str, rows: Sequence[Mapping[str, object]]) -> str:
    screen = screen_of(sys.stdout)
    return f"{screen.wrapped(heading)}\n\n{records(rows, screen)}"


def _about(card: Mapping[str, Any]) -> str:
    times = " to ".join(_day(card[end]) for end in ("start", "end")) if card.get("start") is not None else "no times"
    marked = " (synthetic)" if card["source"] == "synthetic" else ""
    share = card["repeats"] / card["rows"]
    return (
        f"{card['name']}{marked}: {card['rows']} interactions of {card['n_users']} users with {card['n_items']} items "
        f"in {len(card['periods'])} periods, {times}; {card['repeats']} rows ({share:.1%}) repeat a pair"
    )


def _readable(period: Mapping[str, Any]) -> dict[str, Any]:
    days = {end: _day(period[end]) for end in ("start", "end") if period.get(end) is not None}
    return {**period, **days}


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # numbers that are an order, and no times
        return f"{seconds:g}"
