"""How the jobs of a sweep ended: written by their processes, and told in one list at the end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """The end of one job; written by its process, read by the one that started the sweep."""

    overrides: list[str]
    folder: str | None
    error: str | None
    unfit: bool = False  # its parts do not go together, so it was left out


def write(folder: Path, number: int, outcome: Outcome) -> None:
    (folder / f"outcome-{number:06d}.json").write_text(json.dumps(asdict(outcome)))


def read(folder: Path) -> list[Outcome]:
    return [Outcome(**json.loads(file.read_text())) for file in sorted(folder.glob("outcome-*.json"))]


def told(outcomes: Sequence[Outcome]) -> str | None:
    """The failures of a sweep and what was left out, each with its reason; None where all runs are done."""
    failures = [outcome for outcome in outcomes if outcome.error and not outcome.unfit]
    unfit = [outcome for outcome in outcomes if outcome.unfit]
    failed = f"{len(failures)} of {len(outcomes)} runs failed; repeat the command to run only these"
    left_out = f"{len(unfit)} of {len(outcomes)} runs left out, as they cannot be"
    lists = [_list(head, of, outcomes) for head, of in ((failed, failures), (left_out, unfit)) if of]
    return "\n".join(lists) or None


def _list(head: str, chosen: Sequence[Outcome], outcomes: Sequence[Outcome]) -> str:
    """Name the runs that ended for one reason together; a bug also gets the place of its traceback."""
    shared = set.intersection(*(set(outcome.overrides) for outcome in outcomes)) if len(outcomes) > 1 else set()
    by_reason: dict[str, list[str]] = {}
    for outcome in chosen:
        own = " ".join(word for word in outcome.overrides if word not in shared)
        by_reason.setdefault(_reason(outcome), []).append(own)
    return "\n".join([f"recretrain: {head}", *(f"  {'; '.join(runs)}: {why}" for why, runs in by_reason.items())])


def _reason(outcome: Outcome) -> str:
    error = outcome.error or ""
    if error.startswith("recretrain: ") or not in_error_file(outcome.folder):
        return error.removeprefix("recretrain: ")
    return f"{error}\n    see {outcome.folder}/error.txt"


def in_error_file(folder: str | None) -> bool:
    """Whether the engine wrote the traceback into the run folder."""
    return folder is not None and (Path(folder) / "error.txt").is_file()
