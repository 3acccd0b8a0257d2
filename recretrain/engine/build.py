"""From a configuration to an experiment: everything is built here once, and no configuration passes this door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import torch
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from recretrain.configuration.build import build
from recretrain.configuration.compose import data_name, digest, has_former_name, run_folder
from recretrain.data.kinds import TestSet
from recretrain.data.schedule import Schedule
from recretrain.data.stream import Stream
from recretrain.engine.machine import Machine
from recretrain.engine.seeds import BUILD, seed_task
from recretrain.errors import ConfigError, Unfit
from recretrain.evaluation.base import Evaluator
from recretrain.methods.base import RetrainMethod
from recretrain.preparation.prepare import prepare, prepared_before
from recretrain.records import OUTSIDE_DIGEST

_OUTSIDE_LABEL = ("data=", "method=", "seed=", "trainer=", *OUTSIDE_DIGEST)


@dataclass(frozen=True)
class Names:
    """The names and digests that a run is known by."""

    folder: Path
    data: str
    choices: Mapping[str, str]  # the option of each group: method, data, backbone, schedule, eval
    overrides: Sequence[str]  # of the command line, without those that the other names tell
    seed: int
    digest: str
    variant: str  # the digest without the seed
    text: str  # the whole configuration, resolved


@dataclass(frozen=True)
class Settings:
    """The nodes that a method is built of, and of the questions that it may learn from."""

    backbone: Mapping[str, Any]
    method: Mapping[str, Any]
    questions: Mapping[str, Any]


@dataclass(frozen=True)
class Experiment:
    """A run, ready to be done."""

    names: Names
    machine: Machine
    schedule: Schedule
    evaluator: Evaluator
    stream: Stream
    settings: Settings
    pretrained: Path  # where runs share pre-trained weights
    logger: Any  # of Lightning, or None

    def method(self) -> RetrainMethod[Any]:
        """Backbone and method with their first weights, on the machine's device."""
        return method_of(self.settings, self.stream, self.names.seed, self.machine.device)


def experiment(
    config: DictConfig, *, choices: Mapping[str, str], overrides: Sequence[str], prepared: str | None = None
) -> Experiment:
    """Build all but the method, and prepare the data if they are not yet.

    `prepared`: the digest of prepared data that are taken as they are if they still stand, whatever became of the raw
    files.
    Raises ConfigError where the method cannot answer the questions that `eval` asks, before anything is prepared.
    """
    former = has_former_name(config, choices)
    names = Names(
        folder=run_folder(config, choices),
        data=data_name(config, choices),
        choices=choices,
        overrides=[word for word in overrides if not word.lstrip("+~").startswith(_OUTSIDE_LABEL)],
        seed=config.seed,
        digest=digest(config, former=former),
        variant=digest(config, with_seed=False, former=former),
        text=OmegaConf.to_yaml(config, resolve=True),
    )
    machine: Machine = build(config.trainer, "trainer")
    schedule: Schedule = build(config.schedule, "schedule")
    evaluator: Evaluator = build(config.eval, "eval")
    settings = _settings(config)
    check_kinds(settings, evaluator, choices)
    check_backbone(settings)
    source = build(config.data, "data")
    paths = config.paths
    folder = None if prepared is None else prepared_before(source, Path(paths.cache), prepared)
    if folder is None:
        folder = prepare(source, data_root=Path(paths.data), cache=Path(paths.cache), memory=paths.memory)
    return Experiment(
        names=names,
        machine=machine,
        schedule=schedule,
        evaluator=evaluator,
        stream=Stream(folder, evaluator.questions),
        settings=settings,
        pretrained=Path(config.paths.outputs) / ".pretrained",
        logger=build(config.logger, "logger") if config.logger else None,
    )


def method_of(settings: Settings, stream: Stream, seed: int, device: torch.device) -> RetrainMethod[Any]:
    """Backbone and method of a stream, drawn by the seed, on the device."""
    method_class(settings)
    seed_task(seed, BUILD, device)
    backbone = build(settings.backbone, "backbone", vocabulary=stream.vocabulary).to(device)
    method: RetrainMethod[Any] = build(settings.method, "method", backbone=backbone)
    return method


def method_class(settings: Settings) -> type[RetrainMethod[Any]]:
    """The class of the method, which says what holds for all of its runs. Raises ConfigError where it is no method."""
    found = get_class(settings.method["_target_"])
    if not issubclass(found, RetrainMethod):
        raise ConfigError(
            f"method._target_={settings.method['_target_']} is not a RetrainMethod; derive it from that class"
        )
    return found


def check_settings(config: DictConfig, choices: Mapping[str, str]) -> None:
    """Raise Unfit where method, backbone and questions do not go together; no data are looked at."""
    settings = _settings(config)
    check_kinds(settings, build(config.eval, "eval"), choices)
    check_backbone(settings)


def check_kinds(settings: Settings, evaluator: Evaluator, choices: Mapping[str, str]) -> None:
    """The method, its learners and its backbone say by `answers` and `learns_from` which questions they are for."""
    asked = evaluator.questions.kind
    for kind, owner in _declared(settings):
        if not issubclass(asked, kind):
            raise Unfit(
                f"method={choices.get('method')} cannot answer eval={choices.get('eval')} on "
                f"data={choices.get('data')}: {owner.__name__} is for {kind.words}, and {asked.words} "
                "are asked; choose another eval, or a method for such data (`recretrain list methods`)"
            )


def kinds_of(settings: Settings) -> list[type[TestSet]]:
    """All kinds that questions must be of, for these settings to be asked them."""
    return [kind for kind, _ in _declared(settings)]


def _declared(settings: Settings) -> Iterator[tuple[type[TestSet], type]]:
    """The kinds that classes named in the settings declare, with the class."""
    for node in (settings.method, settings.backbone):
        for target in _targets(node):
            for role in ("answers", "learns_from"):
                kind = getattr(target, role, None)
                if isinstance(kind, type) and issubclass(kind, TestSet):
                    yield kind, target


def _settings(config: DictConfig) -> Settings:
    return Settings(plain(config.backbone), plain(config.method), plain(config.eval.questions))


def _targets(node: Any) -> Iterator[type]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield get_class(node["_target_"])
        for value in node.values():
            yield from _targets(value)


def check_backbone(settings: Settings) -> None:
    """A method says by the type of its `backbone` which ones it can train; looked at before anything is built."""
    target: Any = get_class(settings.method["_target_"])
    wanted = get_type_hints(target.__init__).get("backbone", object)
    if isinstance(wanted, TypeVar):
        wanted = wanted.__bound__ or object
    given = get_class(settings.backbone["_target_"])
    if isinstance(wanted, type) and not issubclass(given, wanted):
        raise Unfit(
            f"{target.__name__} trains a backbone of kind {wanted.__name__}, not {given.__name__}; "
            "leave `backbone=` out or give another"
        )


def plain(node: DictConfig) -> Mapping[str, Any]:
    """A node with its interpolations resolved, as plain containers."""
    return cast("dict[str, Any]", OmegaConf.to_container(node, resolve=True))
