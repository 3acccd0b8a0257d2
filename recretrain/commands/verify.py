"""Says whether all results below a folder are as they were written."""

from __future__ import annotations

from pathlib import Path

from recretrain.errors import ConfigError, ReportError


def verify(outputs: Path) -> str:
    """Return a line on what was looked at. Raises ConfigError with every fault that was found."""
    if not outputs.is_dir():
        raise ConfigError(f"there is no folder {outputs}; name the one that holds your runs")
    from recretrain.report.runs import verify as looking

    try:
        found = looking.verify(outputs)
    except ReportError as error:
        raise ConfigError(str(error)) from error
    if found.faults:
        raise ConfigError("\n  ".join([f"{len(found.faults)} faults below {outputs}", *found.faults]))
    old = f"; {found.unsealed} of them are older than their seals" if found.unsealed else ""
    return f"{found.runs} runs, {found.tasks} finished tasks below {outputs}: all as they were written{old}"
