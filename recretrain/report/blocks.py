"""Runs that answered the same questions stand in one table; the others never meet."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recretrain.report.rows import Questions, Run

SHAPING = ("data.", "schedule.cut")
WHEREABOUTS = ("data.source=", "data.path=", "data.memory_limit=")  # where the data are, not what

UNSAID = ("method=", "data=", "seed=", "paths.", "trainer.", "logger", "hydra.")  # told elsewhere, or without effect


@dataclass(frozen=True, eq=False)
class Block:
    """Comparable runs. A *setting* is the runs of one variant, which differ by their seed only."""

    questions: Questions
    runs: Sequence[Run]
    labels: Mapping[str, str]  # variant -> the name of the setting

    def settings(self) -> dict[str, list[Run]]:
        """The runs of each label, by seed."""
        found: dict[str, list[Run]] = defaultdict(list)
        for run in sorted(self.runs, key=lambda run: run.seed):
            found[self.labels[run.variant]].append(run)
        return dict(found)

    def changed_data(self) -> list[str]:
        """The overrides that make these data others than their name says."""
        overrides = {override for run in self.runs for override in run.overrides}
        return sorted(item for item in overrides if item.startswith(SHAPING) and not item.startswith(WHEREABOUTS))

    def method(self, label: str) -> str:
        return self.settings()[label][0].method

    def label_of(self, name: str) -> str | None:
        """The setting that `name` means: a label, or the plainest setting of a method."""
        found = self.settings()
        if name in found:
            return name
        named = [label for label, runs in found.items() if runs[0].method == name]
        return min(named, key=lambda label: (len(found[label][0].overrides), label)) if named else None


def blocks(runs: Sequence[Run]) -> list[Block]:
    """The complete runs, parted by what was asked of them."""
    parted: dict[Questions, list[Run]] = defaultdict(list)
    for run in runs:
        if run.complete:
            parted[run.questions].append(run)
    ordered = sorted(parted, key=lambda asked: (asked.data, asked.source, asked.catalogue, asked.digest, asked.tested))
    return [Block(asked, parted[asked], _labels(parted[asked])) for asked in ordered]


def _labels(runs: Sequence[Run]) -> dict[str, str]:
    by_method: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for run in runs:
        by_method[run.method][run.variant] = tuple(item for item in run.overrides if not item.startswith(UNSAID))
    return {
        variant: label for method, variants in by_method.items() for variant, label in _names(method, variants).items()
    }


def _names(method: str, variants: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`sml`, `sml (what_continuation=own)`: the method and the overrides that not all of its variants share."""
    shared = set.intersection(*(set(overrides) for overrides in variants.values()))
    own = {
        variant: ", ".join(item.removeprefix("method.") for item in overrides if item not in shared)
        for variant, overrides in variants.items()
    }
    return {variant: _name(method, variant, text, list(own.values())) for variant, text in own.items()}


def _name(method: str, variant: str, text: str, texts: Sequence[str]) -> str:
    name = f"{method} ({text})" if text else method
    # presets may set the same things in other words: then only the digest tells two variants apart
    return name if texts.count(text) == 1 else f"{name} [{variant[:6]}]"
