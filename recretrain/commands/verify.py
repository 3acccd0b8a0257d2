"""Says whether all results below a folder are as they were written, and mends what can be mended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recretrain.errors import ConfigError, ReportError


def verify(outputs: Path) -> str:
    """Return a line on what was looked at. Raises ConfigError with every fault that was found."""
    _check_there(outputs)
    from recretrain.report.runs import verify as looking

    try:
        found = looking.verify(outputs)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    if found.faults:
        raise ConfigError("\n  ".join([f"{len(found.faults)} faults below {outputs}", *found.faults]))
    if not found.runs:
        raise ConfigError(f"there are no runs below {outputs}; name the folder that holds yours")
    old = f"; {found.unsealed} of them are older than their seals" if found.unsealed else ""
    return f"{found.runs} runs, {found.tasks} finished tasks below {outputs}: all as they were written{old}"


def mend(outputs: Path) -> Iterator[str]:
    """Write anew what can be made of whole files; yields a line for each.

    Raises ConfigError where another process works in a run.
    """
    _check_there(outputs)
    from recretrain.engine.store import RunStore

    for tasks in sorted(path for path in outputs.rglob("tasks") if any(path.glob("[0-9]*/files.json"))):
        store = RunStore(tasks.parent)
        with store.locked():
            yield from (f"{path} is written anew, from its copy" for path in store.mend())


def _check_there(outputs: Path) -> None:
    if not outputs.is_dir():
        raise ConfigError(f"there is no folder {outputs}; name the one that holds your runs")
