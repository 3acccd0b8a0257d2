"""run.json is begun once; whoever goes on with a run adds where and how, and what its data have become."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from recretrain.records import Process, RunCard

log = logging.getLogger("recretrain")

_CHANGES = ("data_digest", "lineage", "tasks", "choosing", "tested")  # of a run that goes further than it did


def continued(before: Mapping[str, Any] | None, now: RunCard, done: int) -> RunCard:
    """The card of a run of which `done` tasks are finished: what it was begun as, and what is asked of it now."""
    if before is None or not done:
        return now
    if now["tasks"] < done:  # it ends earlier this time (schedule.last_test): what is done remains
        return {**now, **before}  # type: ignore[typeddict-item]
    return {**now, **before, **{key: now[key] for key in _CHANGES if key in now}}  # type: ignore[typeddict-item]


def threads_of(before: Mapping[str, Any] | None, done: int, asked: int, otherwise: int) -> int:
    """The threads to go on with: those that were asked for, or else those that the run was begun with.

    The number of threads may round a sum otherwise, so that a run resumed with another is not the unbroken one.
    `asked`: trainer.threads, 0 where none was; `otherwise`: those of a run that begins here.
    """
    if before is None or not done or not before.get("threads"):
        return asked or otherwise
    begun = int(before["threads"])
    if asked and asked != begun:
        log.warning("goes on with %d threads, was begun with %d; sums may round otherwise", asked, begun)
    return asked or begun


def process_of(card: RunCard, done: int) -> Process:
    """An entry for this process, which begins with task `done`."""
    return {
        "tasks": [done, done - 1],  # none yet
        "versions": card["versions"],
        "device": card["device"],
        "devices": card["devices"],
        "threads": card["threads"],
        "precision": card["precision"],
        "started": card["started"],
    }


def joined(before: Mapping[str, Any] | None, card: RunCard, here: Process) -> RunCard:
    """The card with this process behind earlier ones; says what is other than it was."""
    done = here["tasks"][0]
    earlier: list[Process] = list((before or {}).get("processes", [])) if done else []
    if earlier:
        last = earlier[-1]
        last["tasks"] = [last["tasks"][0], done - 1]  # it may have been killed before it could say so
        earlier = [one for one in earlier if one["tasks"][1] >= one["tasks"][0]]
    if earlier:
        _tell(earlier[-1], here)
    return {**card, "processes": [*earlier, here]}


def _tell(last: Process, here: Process) -> None:
    changed = {name: (old, here["versions"].get(name)) for name, old in last["versions"].items()}
    words = [f"{name} {new}, was {old}" for name, (old, new) in changed.items() if new != old]
    words += [f"device {here['device']}, was {last['device']}"] if here["device"] != last["device"] else []
    if words:
        log.warning("goes on with another %s; results may differ from an unbroken run's", "; ".join(words))
