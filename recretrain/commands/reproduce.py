"""A paper's table is a list of sweeps in conf/table: run what is missing of each, then show the table."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from recretrain import yaml_files
from recretrain.commands.costs import Costs, costs, in_words
from recretrain.configuration.compose import compose, conf_dir, data_name, expand, run_folder
from recretrain.configuration.messages import choose_from
from recretrain.errors import ConfigError, DataError
from recretrain.sealed import finished, read_card

if TYPE_CHECKING:
    from omegaconf import DictConfig

Card: TypeAlias = dict[str, Any]  # a file of conf/table


def plan(table: str, overrides: Sequence[str], *, seeds: str | None) -> str:
    """One line per run, its command, whether it is done and what it will cost about; one per sweep without raw data.

    The last line sums up.
    """
    lines, count, seconds = [], 0, list[float | None]()
    known = costs(_outputs(overrides))
    for sweep in sweeps(table, overrides, seeds):
        jobs = list(expand(sweep))
        count += len(jobs)
        if lacking := lacks(sweep):
            lines.append(f"recretrain run -m {shlex.join(sweep)}  # {len(jobs)} runs wait for data; {lacking}")
            continue
        for job in jobs:
            done, cost = state(job), None
            if done != "done":
                seconds.append(cost := _cost(job, known))
                done = f"{done}, {in_words(cost)}"
            lines.append(f"recretrain run {shlex.join(job)}  # {done}")
    return "\n".join([*lines, f"{count} runs{_sum(seconds)}"])


def reproduce(table: str, overrides: Sequence[str], *, seeds: str | None, jobs: int | None) -> None:
    """Run the sweeps of a table and print it; raises SystemExit afterwards, if runs failed, with their list.

    A sweep whose raw data are missing is left out, and named.
    """
    from recretrain.commands.run import launch
    from recretrain.report import render
    from recretrain.report.pages.screen import screen_of

    failures = []
    planned = sweeps(table, overrides, seeds)
    absent = {number: why for number, sweep in enumerate(planned) if (why := lacks(sweep))}
    if len(absent) == len(planned):
        raise DataError(f"table {table} has no run whose data are here; {next(iter(absent.values()))}")
    for number, sweep in enumerate(planned):
        print(f"recretrain run -m {shlex.join(sweep)}", file=sys.stderr)
        if number in absent:
            print(f"left out: {absent[number]}", file=sys.stderr)
            continue
        try:
            launch(["-m", *sweep, *_at_once(sweep, jobs), "hydra.callbacks.sweep.table=false"])
        except SystemExit as stop:
            failures.append(str(stop.code))
    print(render(_outputs(overrides), conf_dir=conf_dir(), table=table, screen=screen_of(sys.stdout)))
    if failures:
        raise SystemExit("\n".join(failures))


def lacks(sweep: Sequence[str]) -> str | None:
    """Which raw data a sweep waits for; None if some of its runs have theirs, or can do with generated ones."""
    about_data = [
        word for word in sweep if word.startswith(("data=", "data.source=", "data.path=", "experiment=", "paths."))
    ]
    found = [_missing(compose(words)[0]) for words in expand(about_data)]
    return found[0] if all(found) else None


def _missing(config: DictConfig) -> str | None:
    """The first line of what a data set says of its raw files, if it needs them and has none."""
    from recretrain.commands.data import source_of

    source, root = source_of(config), Path(config.paths.data)
    return str(source.missing(root)).partition("\n")[0] if source.lacks(root) else None


def sweeps(table: str, overrides: Sequence[str], seeds: str | None) -> list[list[str]]:
    """The override lists of conf/table/<table>.yaml, with the caller's added.

    `method=x,y` and `data=x` change no run, whose settings are those of its method and its data: they leave out the
    other runs. But a data set takes the place of one that has the same name in the paper (`data=sml_yelp` of `yelp`).
    """
    card = _card(table)
    found = [_words(entry) for entry in card["runs"]]
    for key, only in (("method", _of_methods), ("data", _of_data)):
        wanted = [name for word in overrides if word.startswith(f"{key}=") for name in _values(word)]
        if wanted:
            found = [words for words in (only(wanted, words, card) for words in found) if words]
            if not found:
                raise ConfigError(f"table {table} has no run with {key}={','.join(wanted)}; leave it out to run all")
    added = [word for word in overrides if not word.startswith(("method=", "data="))]
    return [_last_wins([*words, *added, *([f"seed={seeds}"] if seeds else [])]) for words in found]


def _of_methods(wanted: Sequence[str], words: Sequence[str], _: Card) -> list[str]:
    """The sweep for the wanted methods alone; nothing if it has none of them."""
    kept = [name for word in words if word.startswith("method=") for name in _values(word) if name in wanted]
    return [f"method={','.join(kept)}" if word.startswith("method=") else word for word in words] if kept else []


def _of_data(wanted: Sequence[str], words: Sequence[str], card: Card) -> list[str]:
    """The sweep on those wanted data sets that the paper calls by the same name as its own; nothing if none is."""
    of_paper = card.get("data", {})
    config, choices = compose(next(expand(words)))
    own, named = choices["data"], config.data.name
    if named != own and named in wanted:  # an experiment's data are another set of the same layout
        return list(words)
    kept = [name for name in wanted if of_paper.get(name, name) == of_paper.get(own, own)]
    if kept in ([], [own]):
        return list(words) if kept else []
    return [*(word for word in words if not word.startswith("data=")), f"data={','.join(kept)}"]


def _values(override: str) -> list[str]:
    return override.partition("=")[2].split(",")


def _cost(job: Sequence[str], known: Costs) -> float | None:
    """Seconds of the tasks that are missing, as earlier runs of the method on these data took them."""
    config, choices = compose(job)
    each = known.get((data_name(config, choices), choices["method"]))
    if each is None:
        return None
    return max(0.0, each.of_all - each.of_one * len(finished(run_folder(config, choices) / "tasks")))


def _sum(seconds: Sequence[float | None]) -> str:
    """What is missing costs, all together."""
    told = [one for one in seconds if one is not None]
    if not seconds:
        return ""
    if not told:
        return f", {len(seconds)} to do, cost unknown"
    more = f" and {len(seconds) - len(told)} of unknown cost" if len(told) < len(seconds) else ""
    return f", {len(seconds)} to do, {in_words(sum(told))}{more}"


def state(job: Sequence[str]) -> str:
    """`done`, `3 tasks done` or `missing`, read from the run folder."""
    folder = run_folder(*compose(job))
    done = len(finished(folder / "tasks"))
    card = folder / "run.json"
    if card.is_file() and done >= read_card(card)["tasks"]:
        return "done"
    return f"{done} tasks done" if done else "missing"


def _at_once(sweep: Sequence[str], jobs: int | None) -> list[str]:
    """The override that says how many runs go at once; a sweep of one run gets the whole machine."""
    runs = len(list(expand(sweep)))
    if any(word.startswith("hydra/launcher=") for word in sweep) or (jobs is None and runs > 1):
        return []
    return [f"hydra.launcher.n_jobs={min(jobs or 1, runs)}"]


def _card(table: str) -> Card:
    known = sorted(file.stem for file in (conf_dir() / "table").glob("*.yaml"))
    if table not in known:
        raise ConfigError(f"there is no table '{table}'; {choose_from(table, known, 'tables')}")
    card: Card = yaml_files.read(conf_dir() / "table" / f"{table}.yaml")
    if not card.get("runs"):
        raise ConfigError(f"conf/table/{table}.yaml names no runs; add them under `runs:`")
    return card


def _last_wins(overrides: Sequence[str]) -> list[str]:
    """Keep the last override of each key: of two, a sweep would run every combination."""
    by_key = {override.partition("=")[0]: override for override in overrides}
    return list(by_key.values())


def _words(entry: str | list[str]) -> list[str]:
    return shlex.split(entry) if isinstance(entry, str) else [str(word) for word in entry]


def _outputs(overrides: Sequence[str]) -> Path:
    paths = [override for override in overrides if override.startswith("paths.")]
    return Path(compose(paths)[0].paths.outputs)
