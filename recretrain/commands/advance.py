"""A finished run goes on with what its data have become: what is new is prepared, asked and learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recretrain.configuration.compose import run_folder
from recretrain.engine.finished import choices_of, stored
from recretrain.engine.runner import run
from recretrain.engine.store import RunStore
from recretrain.errors import ConfigError
from recretrain.sealed import read_card


def advance(folder: Path, trusted: Sequence[str] = ()) -> str:
    """Do the tasks that the run's data have brought since, as its own command would; returns a line that says how many.

    Raises ConfigError where the folder is no run's, or its data have changed other than by growing.
    """
    config, card = stored(folder, trusted)
    choices = choices_of(card)
    config.paths.outputs = str(folder.resolve().parents[2])  # wherever it has been moved to
    if (expected := run_folder(config, choices)) != folder.resolve():
        raise ConfigError(f"{folder} is not where its settings say, {expected}; give it its name back")
    store = RunStore(folder)
    before = store.done()
    run(config, choices=choices, overrides=card["overrides"])
    done, periods = store.done(), read_card(folder / "run.json")["lineage"]
    if done == before:
        return f"{folder}: nothing new, all {done} tasks are done with the {len(periods)} periods of its data"
    return f"{folder}: {done - before} new task{'s' * (done - before > 1)}, {done} in all"
