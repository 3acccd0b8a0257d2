"""The verdict in three sentences: who is best, who is best for what it costs, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recretrain.arena.standings import LEVEL, Standing, cheapest_level
from recretrain.report.runs.averages import is_error


def verdict(
    found: Sequence[Standing], unfit: Mapping[str, str], column: str, failed: Mapping[str, str] | None = None
) -> list[str]:
    """Three sentences on the standings; one more where methods entered and were not judged, or did not enter."""
    best, *others = found
    sentences = [_best(found, column), _cost(found, column), _noise(best, others)]
    if failed:
        sentences.append(f"Not judged, for want of time or as they failed: {', '.join(sorted(failed))}.")
    if unfit:
        sentences.append(f"Not asked, as they answer other questions: {', '.join(unfit)}.")
    return sentences


def _best(found: Sequence[Standing], column: str) -> str:
    best = found[0]
    better = "lowest" if is_error(column) else "highest"
    within = f" [{_number(best.interval[0])}, {_number(best.interval[1])}]" if best.interval else ""
    seeds = f"{best.figure.seeds} seed{'s' * (best.figure.seeds > 1)}"
    return f"{best.method} has the {better} {column}, {_number(best.figure.mean)}{within} over {seeds}."


def _cost(found: Sequence[Standing], column: str) -> str:
    best, cheap = found[0], cheapest_level(found)
    if cheap is best:
        cheaper = [one for one in found if one.seconds < best.seconds and _seconds(one) != _seconds(best)]
        if not cheaper:
            return f"Nothing is cheaper than its {_seconds(best)} CPU seconds a period: take {best.method}."
        return (
            f"Whatever is cheaper than its {_seconds(best)} CPU seconds a period is worse beyond chance: "
            f"take {best.method}, unless {cheaper[0].method} at {_seconds(cheaper[0])} is good enough "
            f"({_number(cheaper[0].figure.mean)})."
        )
    share = f", {best.seconds / cheap.seconds:.0f} times less" if cheap.seconds * 1.5 < best.seconds else ""
    return (
        f"For what it costs {cheap.method} is best: {column} {_number(cheap.figure.mean)} with {_seconds(cheap)} "
        f"CPU seconds a period{share}, and nothing tells it from {best.method}: take {cheap.method}."
    )


def _noise(best: Standing, others: Sequence[Standing]) -> str:
    level = [one.method for one in others if one.level]
    unknown = [one.method for one in others if one.adjusted is None]
    by = f"paired over users, {LEVEL:.0%} for all comparisons together"
    told = f"Within noise of {best.method} ({by}): {', '.join(level)}" if level else (
        f"All others are worse than {best.method} beyond chance ({by})"
    )  # fmt: skip
    if not others:
        return "Nothing else entered."
    if len(unknown) == len(others):
        return "Whether the differences are chance cannot be said: the answers were not kept."
    return f"{told}; not compared: {', '.join(unknown)}." if unknown else f"{told}."


def _number(value: float) -> str:
    return f"{value:.4f}"


def _seconds(one: Standing) -> str:
    """Seconds as they are told; what is told alike costs the same."""
    return f"{one.seconds:.1f}" if one.seconds >= 1 else f"{one.seconds:.2f}"
