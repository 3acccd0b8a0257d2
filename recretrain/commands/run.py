"""Hydra composes and launches: each job is one run, and a sweep ends with one table and the list of failures."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.experimental.callback import Callback

from recretrain.commands import sweeps
from recretrain.commands.clusters import jobs_told
from recretrain.commands.endings import uncollected, words_of
from recretrain.commands.families import GROUPS, left_out, only_what_fits
from recretrain.commands.outcomes import Outcome, in_error_file, read, told, write
from recretrain.configuration.compose import (
    compose,
    conf_dir,
    explained,
    register_schema,
    run_folder,
    whole,
    without_hydra,
)
from recretrain.configuration.sources import careful_reading, check_folders, paths_quoted
from recretrain.errors import ConfigError, Unfit
from recretrain.interruption import python_s_own

if TYPE_CHECKING:
    from omegaconf import DictConfig


def launch(arguments: Sequence[str]) -> None:
    """Do `recretrain run <arguments>`; raises SystemExit with a message if something failed."""
    import hydra

    register_schema()
    words = choices_first(paths_quoted(options_first(arguments)))
    check_folders(words)
    with uncollected():
        if (folder := _done_before(words)) is not None:
            show_tables([folder])
            return
    argv = _argv(["recretrain run", *words])
    with explained(), careful_reading(), _fitting(words), argv, _errors_reach_us(), jobs_told():
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(job)()


def _done_before(words: Sequence[str]) -> Path | None:
    """The folder of a run that is finished, known by one look: Hydra composes a run twice before it begins.

    None for whatever else the words ask for: options and several values are no configuration of one run, and what is
    wrong with them Hydra says.
    """
    from hydra.core.utils import configure_log

    from recretrain.commands.repeated import finished_before

    with explained(), suppress(ConfigError):
        config = whole(words)
        if config.hydra.mode is None:  # no sweep, that a preset may ask for
            configure_log(config.hydra.job_logging)
            return finished_before(*without_hydra(config))
    return None


def _fitting(words: Sequence[str]) -> AbstractContextManager[None]:
    return only_what_fits(words) if {"-m", "--multirun"} & set(words) else nullcontext()


def one(overrides: Sequence[str]) -> Path:
    """Do what is missing of one run, without Hydra's launcher and without a table; returns its folder."""
    with python_s_own():
        return _checked(*compose(overrides), list(overrides), jobs=1)


def options_first(arguments: Sequence[str]) -> list[str]:
    """Put options before overrides, as Hydra asks for; people write them anywhere."""
    from hydra._internal.utils import get_args_parser

    overrides = [word for word in arguments if word[:1] != "-" and ("=" in word or word[:1] == "~")]
    others = [word for word in arguments if word not in overrides]
    parser = get_args_parser()
    parser.error = _refuse_option  # type: ignore[method-assign]
    unknown = [*parser.parse_known_args(others)[1], *(word for word in others if word in ("-", "--"))]
    if unknown:
        _refuse_option(f"there is no option {unknown[0]}")
    return [*others, *overrides]


def _refuse_option(message: str) -> NoReturn:
    raise ConfigError(f"{message}; `recretrain run --help` lists options, groups and keys")


def choices_first(arguments: Sequence[str]) -> list[str]:
    """Leave keys of a group to the jobs of a sweep over its options, which have other keys than its default has.

    Hydra composes a sweep once without what is swept: `-m method=gru4rec,caser backbone.longest=20` would be told that
    the default method's backbone has no such key. A choice of one value is a part of the sweep.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not {"-m", "--multirun"} & set(arguments):
        return list(arguments)
    words = [word for word in arguments if word[:1] not in "-~"]
    with explained():
        parsed = dict(zip(words, OverridesParser.create().parse_overrides(words), strict=True))
    if not any(found.is_sweep_override() and found.key_or_group in GROUPS for found in parsed.values()):
        return list(arguments)
    return [_as_choice(word) if word in parsed and _is_key(parsed[word]) else word for word in arguments]


def _is_key(override: Any) -> bool:
    """Whether an override sets one value below a group."""
    group, _, key = override.key_or_group.partition(".")
    return bool(group in GROUPS and key and not override.is_sweep_override() and not override.is_add())


def _as_choice(word: str) -> str:
    key, _, value = word.partition("=")
    return f"{key}=choice({value})"


def job(config: DictConfig) -> None:
    """Do one run, in this process or in a worker of a sweep."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    hydra_config = HydraConfig.get()
    sweeping = hydra_config.mode is RunMode.MULTIRUN
    if sweeping:
        sweeps.end_with_owner()
        outcome = _attempt(config, hydra_config)
        with suppress(FileNotFoundError):  # the sweep's command has ended, and nobody waits for it any more
            write(Path(hydra_config.sweep.dir), hydra_config.job.num, outcome)
        return
    with stops():
        folder = _train(config, hydra_config, jobs=1)
        show_tables([folder])


def jobs_at_once(launcher: Mapping[str, Any]) -> int:
    """The number of jobs that share this machine's cores."""
    from recretrain.engine.machine import cores

    if cpus := launcher.get("cpus_per_task"):
        return max(1, cores() // int(cpus))
    jobs = int(launcher.get("n_jobs") or 1)
    return jobs if jobs > 0 else cores()


def show_tables(folders: Iterable[Path]) -> None:
    """Print the table of each data set that the run folders belong to."""
    from recretrain.report import render
    from recretrain.report.pages.screen import screen_of

    for data in sorted({folder.parent.parent for folder in folders}):
        print(render(data, conf_dir=conf_dir(), screen=screen_of(sys.stdout)))


class Sweep(Callback):
    """End a sweep: show the tables of its data sets and the failures with their reasons, and leave no litter."""

    def __init__(self, *, table: bool) -> None:
        self.table = table

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        sweeps.begin(Path(config.hydra.sweep.dir))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        outcomes = [*read(Path(config.hydra.sweep.dir)), *left_out.get()]
        sweeps.remove(Path(config.hydra.sweep.dir))
        with stops():
            if self.table:
                show_tables(Path(o.folder) for o in outcomes if o.folder and not o.error)
        if message := told(outcomes):
            print(message, file=sys.stderr)
        if any(outcome.error and not outcome.unfit for outcome in outcomes) or all(o.unfit for o in outcomes):
            raise SystemExit(1)


@contextmanager
def stops() -> Iterator[None]:
    """Turn an exception into SystemExit with its message, or with the whole traceback if it is not a mistake."""
    try:
        yield
    except Exception as error:
        raise SystemExit(words_of(error) or traceback.format_exc()) from error


def _attempt(config: DictConfig, hydra_config: Any) -> Outcome:
    overrides, folder = list(hydra_config.overrides.task), None
    try:
        folder = str(run_folder(config, hydra_config.runtime.choices))
        _train(config, hydra_config, jobs=jobs_at_once(hydra_config.launcher))
    except Exception as error:
        if words_of(error) is None and not in_error_file(folder):
            traceback.print_exc()
        words = words_of(error) or f"{type(error).__name__}: {error}"
        return Outcome(overrides, folder, words, isinstance(error, Unfit))
    return Outcome(overrides, folder, None)


def _train(config: DictConfig, hydra_config: Any, *, jobs: int) -> Path:
    with explained():
        choices = {str(group): str(choice) for group, choice in hydra_config.runtime.choices.items()}
        overrides = list(hydra_config.overrides.task)
    return _checked(config, choices, overrides, jobs)


def _checked(config: DictConfig, choices: Mapping[str, str], overrides: Sequence[str], jobs: int) -> Path:
    from recretrain.commands.repeated import finished_before

    if (folder := finished_before(config, choices)) is not None:
        return folder

    from recretrain.configuration.signatures import check
    from recretrain.engine.runner import run

    check(config)
    return run(config, choices=choices, overrides=overrides, jobs=jobs)


@contextmanager
def _argv(arguments: list[str]) -> Iterator[None]:
    """Put the arguments where Hydra reads its command line."""
    before, sys.argv = sys.argv, arguments
    try:
        yield
    finally:
        sys.argv = before


@contextmanager
def _errors_reach_us() -> Iterator[None]:
    """Set the variable without which Hydra prints errors itself and exits."""
    wanted = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        os.environ.pop("HYDRA_FULL_ERROR")
        if wanted is not None:
            os.environ["HYDRA_FULL_ERROR"] = wanted
