"""Runs that answered the same questions stand in one table; the others never meet."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from recretrain.report.rows import Questions, RowOf, Run, method_of

SHAPING = ("data.", "cut@data.")
WHEREABOUTS = ("data.source=", "data.path=", "data.memory_limit=")  # where the data are, not what

UNSAID = ("method=", "data=", "seed=", "paths.", "trainer.", "logger", "hydra.")  # told elsewhere, or without effect


@dataclass(frozen=True, eq=False)
class Block:
    """Comparable runs. A *setting* is the runs of one variant, which differ by their seed only."""

    questions: Questions
    runs: Sequence[Run]
    labels: Mapping[str, str]  # variant -> the name of the setting
    rows: Mapping[str, str]  # label -> the row of a table that it stands in: its method, where the table says no more

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

    def label_of(self, name: str) -> str | None:
        """The setting that `name` means: a label, or the plainest setting of a row."""
        found = self.settings()
        if name in found:
            return name
        named = [label for label in found if self.rows[label] == name]
        return min(named, key=lambda label: (len(found[label][0].overrides), label)) if named else None

    def named(self, row_of: RowOf) -> "Block":
        """The same runs under the names that a table has for them."""
        labels, rows = _labels(self.runs, row_of)
        return replace(self, labels=labels, rows=rows)


def blocks(runs: Sequence[Run]) -> list[Block]:
    """The complete runs, parted by what was asked of them."""
    parted: dict[Questions, list[Run]] = defaultdict(list)
    for run in runs:
        if run.complete:
            parted[run.questions].append(run)
    ordered = sorted(
        parted, key=lambda asked: (asked.data, asked.source, asked.kind, asked.catalogue, asked.digest, asked.tested)
    )
    return [Block(asked, parted[asked], *_labels(parted[asked], method_of)) for asked in ordered]


def _labels(runs: Sequence[Run], row_of: RowOf) -> tuple[dict[str, str], dict[str, str]]:
    """Variant -> label, and label -> row. A run of no row is named by all its overrides, and is a row of its own."""
    of_row: dict[tuple[str, bool], dict[str, tuple[str, ...]]] = defaultdict(dict)
    for run in runs:
        row = row_of(run)
        told = tuple(item for item in run.overrides if not item.startswith(UNSAID))
        of_row[run.method if row is None else row, row is not None][run.variant] = told
    labels: dict[str, str] = {}
    rows: dict[str, str] = {}
    for (name, known), variants in of_row.items():
        named = _names(name, variants) if known else _full_names(name, variants)
        labels |= named
        rows |= {label: name if known else label for label in named.values()}
    return labels, rows


def _full_names(method: str, variants: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`ader, distil=false`: without brackets, so that it is never the name of a row's variant."""
    texts = {
        variant: ", ".join(item.removeprefix("method.") for item in overrides)
        for variant, overrides in variants.items()
    }
    return {variant: _full_name(method, variant, text, list(texts.values())) for variant, text in texts.items()}


def _full_name(method: str, variant: str, text: str, texts: Sequence[str]) -> str:
    unique = text and texts.count(text) == 1
    return ", ".join([method, *([text] if text else []), *([] if unique else [variant[:6]])])


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
