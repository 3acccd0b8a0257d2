"""Runs that answered the same questions stand in one table; the others never meet."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from recretrain.records import OUTSIDE_DIGEST
from recretrain.report.runs.run import Asked, RowOf, Run, key_of, method_of, within

WHEREABOUTS = ("data.source", "data.path", *OUTSIDE_DIGEST)  # where the data are, not what
SAID_ELSEWHERE = ("method", "data", "seed")


@dataclass(frozen=True, eq=False)
class Cohort:
    """Comparable runs. A *setting* is the runs of one variant, which differ by their seed only."""

    asked: Asked
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
        return sorted(item for item in overrides if _changes_data(key_of(item)))

    def label_of(self, name: str) -> str | None:
        """The setting that `name` means: a label, or the plainest setting of a row."""
        found = self.settings()
        if name in found:
            return name
        named = [label for label in found if self.rows[label] == name]
        return min(named, key=lambda label: (len(found[label][0].overrides), label)) if named else None

    def keys(self) -> dict[str, str]:
        """Whole keys by the part of them that stands in the names of settings, where it is not all of it."""
        brief = _brief({key_of(item) for run in self.runs for item in _said(run)})
        words = {word.lstrip("(").partition("=")[0] for label in self.rows for word in label.split()}
        return {short: key for key, short in sorted(brief.items()) if short != key and short in words}

    def named(self, row_of: RowOf) -> Cohort:
        """The same runs under the names that a table has for them."""
        labels, rows = _labels(self.runs, row_of)
        return replace(self, labels=labels, rows=rows)


def cohorts(runs: Sequence[Run]) -> list[Cohort]:
    """The complete runs, parted by the questions they were asked."""
    parted: dict[Asked, list[Run]] = defaultdict(list)
    for run in runs:
        if run.complete:
            parted[run.asked].append(run)
    return [Cohort(asked, parted[asked], *_labels(parted[asked], method_of)) for asked in sorted(parted)]


def _changes_data(key: str) -> bool:
    return key.startswith("data.") and not within(key, WHEREABOUTS)


def _labels(runs: Sequence[Run], row_of: RowOf) -> tuple[dict[str, str], dict[str, str]]:
    """Variant -> label, and label -> row. A run of no row is named by all its overrides, and is a row of its own."""
    brief = _brief({key_of(item) for run in runs for item in _said(run)})
    of_row: dict[tuple[str, bool], dict[str, tuple[str, ...]]] = defaultdict(dict)
    for run in runs:
        row, said = row_of(run), tuple(f"{brief[key_of(item)]}={item.partition('=')[2]}" for item in _said(run))
        of_row[run.method if row is None else row, row is not None][run.variant] = said
    labels: dict[str, str] = {}
    rows: dict[str, str] = {}
    for (name, known), variants in of_row.items():
        named = _names(name, variants) if known else _full_names(name, variants)
        labels |= named
        rows |= {label: name if known else label for label in named.values()}
    return labels, rows


def _brief(keys: Set[str]) -> dict[str, str]:
    """Each key by its last parts, as many as no other key ends with: `epochs`, or `fresh.epochs`."""
    ends = {key: [key.split(".", skipped)[-1] for skipped in range(key.count("."), -1, -1)] for key in keys}
    met = Counter(end for of_key in ends.values() for end in of_key)
    return {key: next((end for end in of_key if met[end] == 1), key) for key, of_key in ends.items()}


def _said(run: Run) -> tuple[str, ...]:
    """The overrides that a name may hold."""
    return tuple(item for item in run.overrides if not _unsaid(key_of(item)))


def _unsaid(key: str) -> bool:
    return key in SAID_ELSEWHERE or within(key, OUTSIDE_DIGEST)


def _full_names(method: str, variants: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`ader, distil=false`: without brackets, so that it is never the name of a row's variant."""
    texts = {variant: ", ".join(overrides) for variant, overrides in variants.items()}
    return {variant: _full_name(method, variant, text, list(texts.values())) for variant, text in texts.items()}


def _full_name(method: str, variant: str, text: str, texts: Sequence[str]) -> str:
    unique = text and texts.count(text) == 1
    return ", ".join([method, *([text] if text else []), *([] if unique else [variant[:6]])])


def _names(method: str, variants: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """`sml`, `sml (fresh.epochs=2)`: the method and the overrides that not all of its variants share."""
    shared = set.intersection(*(set(overrides) for overrides in variants.values()))
    own = {
        variant: ", ".join(item for item in overrides if item not in shared) for variant, overrides in variants.items()
    }
    return {variant: _name(method, variant, text, list(own.values())) for variant, text in own.items()}


def _name(method: str, variant: str, text: str, texts: Sequence[str]) -> str:
    name = f"{method} ({text})" if text else method
    # presets may set the same things in other words: then only the digest tells two variants apart
    return name if texts.count(text) == 1 else f"{name} [{variant[:6]}]"
