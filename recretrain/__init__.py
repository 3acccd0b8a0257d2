"""Retrain recommenders period by period, and compare fairly.

`run`, `load` and `tables` are what the command line does, for notebooks; each imports what it needs when it is called.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recretrain.report.pages.screen import Screen
    from recretrain.serving.run import Run

__all__ = ["__version__", "load", "run", "tables"]
__version__ = "0.2.0"


def run(*overrides: str) -> Run:
    """Do what is missing of one run, `run("method=sml", "data=yelp")`, and open it.

    Raises Mistake, with culprit and cure, for whatever `recretrain run` refuses.
    """
    sleep_while_waiting()
    from recretrain.commands.run import one
    from recretrain.configuration.trust import named_in
    from recretrain.serving.run import Run

    return Run(one(overrides), named_in(overrides))


def load(folder: str | Path, trust: Sequence[str] = ()) -> Run:
    """Open a finished run by its folder below outputs/.

    `trust`: packages of one's own, `["mine"]`, whose classes its settings may name; recretrain's always may. Raises
    ConfigError where the folder is no run's, no task of it is finished, or its settings name other classes.
    """
    sleep_while_waiting()
    from recretrain.serving.run import Run

    return Run(folder, trust)


def tables(
    outputs: str | Path = "outputs",
    *,
    table: str | None = None,
    format: str = "terminal",
    test: str = "test",
    group: str = "all",
    only: Mapping[str, str] | None = None,
    compare: str | None = None,
    by_period: str | None = None,
    screen: Screen | None = None,
) -> str:
    """The tables of all finished runs below a folder, as `recretrain report` prints them.

    The arguments are those of `recretrain.report.render`. Raises ConfigError where there is no such folder, ReportError
    for a choice that does not exist.
    """
    from recretrain.configuration.compose import conf_dir
    from recretrain.errors import ConfigError
    from recretrain.report import render

    if not Path(outputs).is_dir():
        raise ConfigError(f"there is no folder {outputs}; name the one that holds your runs")
    os.listdir(outputs)  # raises where it may not be read
    return render(
        Path(outputs),
        conf_dir=conf_dir(),
        table=table,
        format=format,
        test=test,
        group=group,
        only=only,
        compare=compare,
        by_period=by_period,
        screen=screen,
    )


def sleep_while_waiting() -> None:
    """Have threads of torch that wait for each other sleep; spinning, they starve beside any other busy process.

    Heard where torch is not loaded yet, and by all processes that this one begins; a choice of the user's stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
